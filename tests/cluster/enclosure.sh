#!/usr/bin/env bash
# The first process of a test's enclosure: makes its file systems and its network, says `ready`, and
# lives until its input ends. The kernel ends everything else in the enclosure with it.
#
#   enclosure.sh STATE CGROUP   STATE keeps what is written below /etc, /opt and /var/lib; CGROUP
#                               is the name under which control groups are made
#
# It runs in mount, network, process, IPC and host name namespaces of its own.
set -euo pipefail

state=$1 cgroup=$2

# One folder of each hierarchy of control groups stands for its root, to whoever is inside, and is
# all that there is to remove.
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
    # A group that holds processes hands no controllers on.
    mkdir -p "$path/init"
    echo $$ >"$path/init/cgroup.procs"
  fi
done < <(hierarchies)

# Standard paths inside, nothing written outside.
for folder in etc opt var/lib; do
  mkdir -p "$state/upper/$folder" "$state/work/$folder" "/$folder"
  mount -t overlay overlay "/$folder" \
    -o "lowerdir=/$folder,upperdir=$state/upper/$folder,workdir=$state/work/$folder"
done
# An overlay cannot lie on an overlay: what holds the runtime's layers is the file system itself.
for folder in kubelet containerd cni; do
  mkdir -p "$state/$folder" "/var/lib/$folder"
  mount --bind "$state/$folder" "/var/lib/$folder"
done
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /var/log/pods /var/log/containers
mount -t tmpfs tmpfs /var/log
mount -t proc proc /proc

# kubelet insists on these, and the kernel has one of each for the whole machine: it sees what it
# wants in files that stand before them.
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

# Volumes of pods must be seen by the runtime.
mount --make-rshared /

# The node's interface, and a machine beside it.
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
# bash reaps whatever loses its parent meanwhile.
while read -r _; do :; done
