#!/usr/bin/env bash
# The first process of a test's isolated host: creates its file systems and its network, prints
# `ready`, and runs until its stdin is closed. The kernel then kills every other process in it.
#
#   isolated_host.sh STATE CGROUP   STATE is the directory for writes to /etc, /opt and /var/lib;
#                                   CGROUP is the name of the cgroups
#
# It runs in its own mount, network, PID, IPC and UTS namespaces.
set -euo pipefail

state=$1 cgroup=$2

# One directory of each cgroup hierarchy is its root inside, and all that must be removed afterwards.
hierarchies() { awk '($3 == "cgroup" || $3 == "cgroup2") && $2 ~ "^/sys/fs/cgroup" { print $2, $3 }' /proc/self/mounts; }

if [ $# -eq 2 ]; then
  while read -r path kind; do
    mkdir -p "$path/$cgroup"
    if [ "$kind" = cgroup ] && [ -e "$path/cpuset.cpus" ]; then
      cat "$path/cpuset.cpus" >"$path/$cgroup/cpuset.cpus"
      cat "$path/cpuset.mems" >"$path/$cgroup/cpuset.mems"
    fi
    echo $$ >"$path/$cgroup/cgroup.procs"
  done < <(hierarchies)
  exec unshare --cgroup -- "$0" "$state" "$cgroup" inside
fi

mount --make-rprivate /
while read -r path kind; do
  mount --bind "$path/$cgroup" "$path"
  if [ "$kind" = cgroup2 ]; then
    # A cgroup with processes cannot enable controllers for its children.
    mkdir -p "$path/init"
    echo $$ >"$path/init/cgroup.procs"
  fi
done < <(hierarchies)

# Standard paths inside; nothing is written outside.
for folder in etc opt var/lib; do
  mkdir -p "$state/upper/$folder" "$state/work/$folder" "/$folder"
  mount -t overlay overlay "/$folder" \
    -o "lowerdir=/$folder,upperdir=$state/upper/$folder,workdir=$state/work/$folder"
done
# An overlay cannot use another overlay, so the directories with layers are bind mounts.
for folder in kubelet containerd containers cni; do
  mkdir -p "$state/$folder" "/var/lib/$folder"
  mount --bind "$state/$folder" "/var/lib/$folder"
done
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /var/log/pods /var/log/containers
mount -t tmpfs tmpfs /var/log
mount -t proc proc /proc

# kubelet requires these values, which apply to the whole machine: files with them hide the real ones.
while read -r name value; do
  file="$state/sysctl/$name"
  mkdir -p "${file%/*}"
  printf '%s\n' "$value" >"$file"
  [ ! -e "/proc/sys/$name" ] || mount --bind "$file" "/proc/sys/$name"
done <<'SYSCTL'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SYSCTL

# The runtime must see the volumes of pods.
mount --make-rshared /

# The node's interface, and another machine on its network.
hostname node
ip link set lo up
ip netns add outside
ip link add eth0 type veth peer name eth0 netns outside
ip address add 10.99.0.1/24 dev eth0
ip address add fd00:99::1/64 dev eth0 nodad
ip link set eth0 up
ip route add default via 10.99.0.2
ip route add default via fd00:99::2
ip -netns outside address add 10.99.0.2/24 dev eth0
ip -netns outside address add fd00:99::2/64 dev eth0 nodad
ip -netns outside link set eth0 up
ip -netns outside link set lo up
ip -netns outside route add default via 10.99.0.1
ip -netns outside route add default via fd00:99::1
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

echo ready
# Meanwhile, bash reaps orphaned processes.
while read -r _; do :; done
