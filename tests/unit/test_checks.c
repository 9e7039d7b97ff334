// SPDX-License-Identifier: MIT
// Which checks begin when more are due than may run at a time. Real sockets to a listener that
// never answers; the time is invented, so that each check ends when its own is over.
#include "conf_test.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/checks.h"
#include "control/servers.h"

#define AT_ONCE 512u // as many as checks.c runs
#define SERVERS (2 * AT_ONCE + 1)

struct fixture {
    struct loop loop;
    struct config *config;
    struct board *board;
    struct servers *servers;
    struct checks *checks;
    int listener, wake_fd;
};

static void ignore(void *ctx, const struct backend *b, const struct server *s, const char *sentence)
{
    (void)ctx, (void)b, (void)s, (void)sentence;
}

static uint16_t listen_silently(int *fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*fd, (const struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(*fd, SERVERS), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

static struct config *load_servers(uint16_t port)
{
    struct arena *a = arena_new();
    struct buf text = {0};
    const char *head = arena_printf(
        a,
        "listen: 80\nhealth: {type: send-expect, expect: never, every: 1d, timeout: 1s, "
        "address: 127.0.0.1, port: %u}\nservers:\n",
        port);
    assert_true(buf_append(&text, head, strlen(head)));
    for (uint32_t i = 0; i < SERVERS; i++) {
        const char *line = arena_printf(a, "  s%u: 10.0.%u.%u:80\n", i, i / 256, i % 256);
        assert_true(buf_append(&text, line, strlen(line)));
    }
    assert_true(buf_append(&text, "", 1));
    struct config *c = load_fine(buf_head(&text));
    buf_release(&text);
    arena_free(a);
    return c;
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    const struct board_dim dim = {.workers = 1, .servers = SERVERS, .backends = 1, .frontends = 1};
    size_t bytes = (board_bytes(&dim) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    memset(memory, 0, bytes);
    f->board = board_init(memory, &dim);
    f->config = load_servers(listen_silently(&f->listener));
    f->wake_fd = eventfd(0, EFD_NONBLOCK);
    loop_init(&f->loop, ev_loop_new(0));
    log_set_level(LOG_ERROR); // not a line for each
    f->servers = servers_new(&f->loop, f->board, f->config, &f->wake_fd, ignore, NULL);
    f->checks = checks_new(&f->loop, f->board, f->servers);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    checks_free(f->checks);
    servers_free(f->servers);
    loop_end_turn(&f->loop);
    ev_loop_destroy(f->loop.ev);
    arena_free(f->config->arena);
    (void)close(f->listener);
    (void)close(f->wake_fd);
    free(f->board);
    free(f);
    return 0;
}

static void advance(struct fixture *f, uint64_t ms)
{
    for (uint64_t end = f->loop.now_ms + ms; f->loop.now_ms < end;) {
        f->loop.now_ms += WHEEL_TICK_MS;
        wheel_advance(&f->loop.wheel, f->loop.now_ms);
        loop_end_turn(&f->loop);
    }
}

static void hurry(const struct fixture *f, uint32_t first, uint32_t behind)
{
    for (uint32_t i = first; i < behind; i++)
        checks_hurry(f->checks, i);
}

static uint64_t results(const struct fixture *f, uint32_t first, uint32_t behind)
{
    uint64_t n = 0;
    for (uint32_t i = first; i < behind; i++)
        n += servers_track(f->servers, i)->n_results;
    return n;
}

static void those_that_wait_have_their_turn(void **state)
{
    struct fixture *f = *state;
    hurry(f, 0, SERVERS);
    advance(f, 1100);
    assert_int_equal(results(f, 0, SERVERS), AT_ONCE);
    advance(f, 1100);
    assert_int_equal(results(f, 0, SERVERS), 2 * AT_ONCE);
    advance(f, 1100);
    assert_int_equal(results(f, 0, SERVERS), SERVERS);
}

// They were taken into maintenance while they waited: the one behind them waits no longer for it.
static void those_in_maintenance_pass_their_turn_on(void **state)
{
    struct fixture *f = *state;
    hurry(f, 0, AT_ONCE);
    advance(f, 100);
    hurry(f, AT_ONCE, SERVERS);
    advance(f, 100);
    for (uint32_t i = AT_ONCE; i < SERVERS - 1; i++)
        assert_null(servers_admin(f->servers, i, ADMIN_MAINT, 0, STR("")));
    advance(f, 1000);
    assert_int_equal(results(f, 0, AT_ONCE), AT_ONCE);
    advance(f, 1100);
    assert_int_equal(results(f, AT_ONCE, SERVERS - 1), 0);
    assert_int_equal(results(f, SERVERS - 1, SERVERS), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(those_that_wait_have_their_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_in_maintenance_pass_their_turn_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
