/* The least that any program costs that applies these rules: no C library, no allocator, no relocations. It enters
 * the network namespace in its first argument, sends the batch that it was compiled with (the file BATCH) to nf_tables,
 * and reads the acknowledgement. Without an argument it exits at once. */
#include <linux/netlink.h>
#include <linux/sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <fcntl.h>

__asm__(".section .rodata\n"
        "batch: .incbin \"" BATCH "\"\n"
        "batch_end:\n"
        ".text\n");
extern const char batch[], batch_end[];

#if defined(__x86_64__)
__asm__(".globl _start\n_start: mov %rsp, %rdi\n call begin\n");

static long call(long number, long a, long b, long c, long d)
{
    long result;
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = 0;
    register long sixth __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x0, sp\n bl begin\n");

static long call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = 0;
    register long x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#endif

/* The exit code: 0 if the kernel acknowledged the batch. */
static int apply(const char *netns)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
    } answer;
    long file = call(SYS_openat, AT_FDCWD, (long)netns, O_RDONLY, 0);
    if (call(SYS_setns, file, CLONE_NEWNET, 0, 0) != 0)
        return 1;
    long socket = call(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, 0);
    if (call(SYS_sendto, socket, (long)batch, batch_end - batch, 0) != batch_end - batch)
        return 2;
    if (call(SYS_recvfrom, socket, (long)&answer, sizeof answer, 0) < (long)sizeof answer)
        return 3;
    return answer.head.nlmsg_type == NLMSG_ERROR && answer.error.error == 0 ? 0 : 4;
}

__attribute__((noreturn, used)) void begin(const long *stack)
{
    long arguments = stack[0];
    const char *netns = (const char *)stack[2];
    call(SYS_exit_group, arguments > 1 ? apply(netns) : 0, 0, 0, 0);
    __builtin_unreachable();
}
