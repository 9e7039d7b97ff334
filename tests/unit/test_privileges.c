// SPDX-License-Identifier: MIT
// Users, groups and the worker's sandbox. What changes a process for ever is tried in a child.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/privileges.h"
#include "process/sandbox.h"

static char why[256];

// Runs the checks in a child: 0 is fine, anything else the line that failed.
static int in_child(int (*checks)(void))
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(checks());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

// The number must fit into an exit status.
#define CHECK(number, cond)                                                                        \
    do {                                                                                           \
        if (!(cond))                                                                               \
            return number;                                                                         \
    } while (0)

static void test_nothing_asked(void **state)
{
    (void)state;
    struct privileges p;
    assert_int_equal(privileges_resolve(STR_NONE, STR_NONE, &p, why, sizeof(why)), PRIVILEGES_OK);
    assert_false(p.change);
    assert_int_equal(p.uid, geteuid());
}

static void test_unknown_names(void **state)
{
    (void)state;
    struct privileges p;
    static char name[300];
    memset(name, 'x', sizeof(name));
    assert_int_equal(privileges_resolve(STR("no-such-user"), STR_NONE, &p, why, sizeof(why)),
                     PRIVILEGES_UNKNOWN);
    assert_string_equal(why, "there is no user 'no-such-user'");
    assert_int_equal(privileges_resolve(STR_NONE, STR("no-such-group"), &p, why, sizeof(why)),
                     PRIVILEGES_UNKNOWN);
    assert_string_equal(why, "there is no group 'no-such-group'");
    assert_int_equal(
        privileges_resolve((struct str){name, sizeof(name)}, STR_NONE, &p, why, sizeof(why)),
        PRIVILEGES_UNKNOWN);
}

static void test_root_by_name_and_number(void **state)
{
    (void)state;
    struct privileges p;
    enum privileges_result want = geteuid() == 0 ? PRIVILEGES_OK : PRIVILEGES_IGNORED;
    assert_int_equal(privileges_resolve(STR("root"), STR_NONE, &p, why, sizeof(why)), want);
    assert_int_equal(p.uid, 0);
    assert_int_equal(privileges_resolve(STR("65500"), STR("65501"), &p, why, sizeof(why)), want);
    assert_int_equal(p.uid, 65500);
    assert_int_equal(p.gid, 65501);
    assert_int_equal(p.change, geteuid() == 0);
}

static int drop_to_numbers(void)
{
    const struct privileges p = {.change = true, .uid = 65500, .gid = 65501};
    uid_t r, e, s;
    CHECK(1, privileges_drop(&p) == 0);
    CHECK(2, getresuid(&r, &e, &s) == 0 && r == 65500 && e == 65500 && s == 65500);
    CHECK(3, getresgid(&r, &e, &s) == 0 && r == 65501 && e == 65501 && s == 65501);
    CHECK(4, getgroups(0, NULL) == 0);
    CHECK(5, setresuid(0, 0, 0) < 0);
    CHECK(6, prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) == 1);
    CHECK(7, open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0);
    return 0;
}

static void test_drop(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(drop_to_numbers), 0);
}

static int drop_nothing(void)
{
    const struct privileges p = {.change = false};
    uid_t before = geteuid();
    CHECK(1, privileges_drop(&p) == 0);
    CHECK(2, geteuid() == before);
    CHECK(3, prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) == 1);
    return 0;
}

static void test_stay(void **state)
{
    (void)state;
    assert_int_equal(in_child(drop_nothing), 0);
}

#define NO_SANDBOX 99 // this build has none
#define REFUSED(call) ((call) < 0 && errno == EPERM)

static int sandbox_refuses(void)
{
    char *const argv[] = {NULL};
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
    enum sandbox_result result = sandbox_enter();
    if (result != SANDBOX_ON)
        return result == SANDBOX_NOT_BUILT ? NO_SANDBOX : 1;
    CHECK(2, REFUSED(open("/etc/passwd", O_RDONLY | O_CLOEXEC)));
    CHECK(3, REFUSED(openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC)));
    CHECK(4, REFUSED(creat("/tmp/evlb-sandbox-test", 0600)));
    CHECK(5, REFUSED(unlink("/tmp/evlb-sandbox-test")));
    CHECK(6, REFUSED(execve("/bin/true", argv, argv)));
    CHECK(7, REFUSED(fork()));
    CHECK(8, REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
    CHECK(9, REFUSED(kill(getppid(), 0)));
    CHECK(10, REFUSED(chroot("/")));
    CHECK(11, REFUSED(setresuid(0, 0, 0)));
    return 0;
}

static int sandbox_allows(void)
{
    int pair[2];
    char byte = 'x';
    struct rlimit limit;
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
    if (sandbox_enter() != SANDBOX_ON)
        return NO_SANDBOX;
    CHECK(2, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(3, write(pair[0], &byte, 1) == 1 && read(pair[1], &byte, 1) == 1);
    CHECK(4, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
    CHECK(5, getrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(6, kill(getpid(), 0) == 0);
    void *memory = malloc(64 << 20); // by mmap
    CHECK(7, memory != NULL);
    free(memory);
    return 0;
}

static int sandbox_can_abort(void)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
    if (sandbox_enter() != SANDBOX_ON)
        return NO_SANDBOX;
    (void)signal(SIGABRT, _exit); // with its number
    (void)raise(SIGABRT);
    return 0;
}

static void test_sandbox(void **state)
{
    (void)state;
    int refuses = in_child(sandbox_refuses);
    if (refuses == NO_SANDBOX)
        skip(); // sanitizer builds have none; the release build runs this
    assert_int_equal(refuses, 0);
    assert_int_equal(in_child(sandbox_allows), 0);
    assert_int_equal(in_child(sandbox_can_abort), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_asked),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_root_by_name_and_number),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_stay),
        cmocka_unit_test(test_sandbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
