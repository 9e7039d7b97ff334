// SPDX-License-Identifier: MIT
// The worker's system call filter, in the kernel's classic BPF without a library. Entered by
// process/child_main.c when the worker has everything it needs.
//
// A list of what is refused, not of what is allowed: libc, libev and OpenSSL may change which
// harmless calls they make, and a list of allowed calls would turn that into an outage. Refused
// calls return EPERM; nothing is killed. The program:
//
//   wrong architecture or x32 call           -> EPERM
//   kill, tgkill, tkill of another process   -> EPERM  (abort() and raise() signal ourselves)
//   prlimit64 of another process             -> EPERM
//   clone without CLONE_THREAD               -> EPERM; clone3 -> ENOSYS (libc falls back to clone)
//   any call of denied[]                     -> EPERM
//   everything else                          -> allowed
#include "process/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/sanitizer.h"

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif

#if EVLB_SANITIZER || !defined(FILTER_ARCH)

enum sandbox_result sandbox_enter(void)
{
    return SANDBOX_NOT_BUILT;
}

#else

#define NR(name) __NR_##name

// clang-format off
static const uint32_t denied[] = {
    // programs and processes
    NR(execve), NR(execveat), NR(ptrace), NR(process_vm_readv), NR(process_vm_writev),
    NR(pidfd_open), NR(pidfd_send_signal), NR(pidfd_getfd), NR(kcmp), NR(setns), NR(unshare),
    NR(personality), NR(rt_sigqueueinfo), NR(rt_tgsigqueueinfo),
    // files by name (memfd_create has none, and nothing can be executed: answers travel in it)
    NR(openat), NR(openat2), NR(open_by_handle_at), NR(name_to_handle_at), NR(unlinkat),
    NR(renameat2), NR(linkat), NR(symlinkat), NR(mkdirat), NR(mknodat), NR(fchmodat),
    NR(fchownat), NR(truncate), NR(utimensat), NR(chdir), NR(fchdir), NR(chroot), NR(quotactl),
    NR(setxattr), NR(lsetxattr), NR(removexattr), NR(lremovexattr), NR(fanotify_init),
    NR(inotify_add_watch), NR(acct), NR(swapon), NR(swapoff),
    // the system
    NR(mount), NR(umount2), NR(pivot_root), NR(move_mount), NR(open_tree), NR(fsopen), NR(fsmount),
    NR(reboot), NR(kexec_load), NR(init_module), NR(finit_module), NR(delete_module), NR(bpf),
    NR(perf_event_open), NR(add_key), NR(request_key), NR(keyctl), NR(userfaultfd),
    NR(io_uring_setup), NR(io_uring_register), NR(io_uring_enter), NR(settimeofday),
    NR(clock_settime), NR(clock_adjtime), NR(adjtimex), NR(sethostname), NR(setdomainname),
    // who we are: decided already
    NR(setuid), NR(setgid), NR(setreuid), NR(setregid), NR(setresuid), NR(setresgid),
    NR(setgroups), NR(setfsuid), NR(setfsgid), NR(capset),
#if defined(__x86_64__) // the old forms, which newer processors do not have
    NR(fork), NR(vfork), NR(open), NR(creat), NR(unlink), NR(rename), NR(renameat), NR(link),
    NR(symlink), NR(mkdir), NR(rmdir), NR(mknod), NR(chmod), NR(chown), NR(lchown), NR(utime),
    NR(utimes), NR(futimesat), NR(uselib), NR(iopl), NR(ioperm), NR(modify_ldt),
    NR(kexec_file_load),
#endif
};
// clang-format on

#define X32_BIT 0x40000000u // numbers from here on are another set of calls

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)
#define SKIP_IF(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, n, 0)
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)
#define REFUSE ANSWER(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW ANSWER(SECCOMP_RET_ALLOW)

// The low 32 bits of args[n]: both processors are little-endian.
#define LOAD_ARG(n) LOAD(args[n])

#define PROGRAM_MAX (32 + 2 * ARRAY_LEN(denied))

static size_t add(struct sock_filter *to, size_t at, const struct sock_filter *from, size_t n)
{
    lb_assert(at + n <= PROGRAM_MAX);
    memcpy(to + at, from, n * sizeof(*from));
    return at + n;
}

// Calls that are refused or not by their arguments. Each block leaves the number loaded.
static size_t build_special(struct sock_filter *program)
{
    const uint32_t self = (uint32_t)getpid();
    const struct sock_filter special[] = {
        LOAD(arch),
        SKIP_IF(FILTER_ARCH, 1),
        REFUSE,
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
        REFUSE,
        // signals: the first argument is the process (tkill's is a thread: ours alone has one)
        SKIP_IF(NR(kill), 2),
        SKIP_IF(NR(tgkill), 1),
        SKIP_UNLESS(NR(tkill), 4),
        LOAD_ARG(0),
        SKIP_UNLESS(self, 1),
        ALLOW,
        REFUSE,
        // limits: 0 is ourselves
        SKIP_UNLESS(NR(prlimit64), 4),
        LOAD_ARG(0),
        SKIP_UNLESS(0, 1),
        ALLOW,
        REFUSE,
        // threads may be made, processes not
        SKIP_UNLESS(NR(clone), 4),
        LOAD_ARG(0),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
        ALLOW,
        REFUSE,
        SKIP_UNLESS(NR(clone3), 1),
        ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
    };
    return add(program, 0, special, ARRAY_LEN(special));
}

enum sandbox_result sandbox_enter(void)
{
    struct sock_filter program[PROGRAM_MAX];
    size_t n = build_special(program);
    for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
        const struct sock_filter pair[] = {SKIP_UNLESS(denied[i], 1), REFUSE};
        n = add(program, n, pair, ARRAY_LEN(pair));
    }
    const struct sock_filter last[] = {ALLOW};
    n = add(program, n, last, ARRAY_LEN(last));
    const struct sock_fprog fprog = {.len = (unsigned short)n, .filter = program};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog, 0L, 0L) < 0)
        return SANDBOX_REFUSED;
    return SANDBOX_ON;
}

#endif
