// SPDX-License-Identifier: MIT
// The state of servers: what checks, administrators, DNS, time and new configurations make of it,
// on the board, in the log and in the event feed; and that a killed control process loses nothing.
#include "conf_test.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "control/servers.h"
#include "core/sched.h"

#define WORKERS 2
#define SLOTS 8

struct fixture {
    struct loop loop;
    struct config *config;
    struct board *board;
    struct servers *servers;
    int wake_fds[WORKERS];
    char told[2048]; // what on_change was told since told() was asked
    char logged[8192];
};

// ---- the fixture ------------------------------------------------------------------------------

static void on_change(void *ctx, const struct backend *b, const struct server *s,
                      const char *sentence)
{
    struct fixture *f = ctx;
    size_t n = strlen(f->told);
    assert_non_null(b);
    assert_true(s == NULL || s->backend == b);
    snprintf(f->told + n, sizeof(f->told) - n, "%s%s", n > 0 ? "|" : "", sentence);
}

static void keep_line(void *ctx, const char *line, size_t len)
{
    struct fixture *f = ctx;
    size_t n = strlen(f->logged);
    snprintf(f->logged + n, sizeof(f->logged) - n, "%.*s", (int)len, line);
}

static void begin(struct fixture *f)
{
    f->servers = servers_new(&f->loop, f->board, f->config, f->wake_fds, on_change, f);
}

static struct fixture *open_fixture(const char *text)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    const struct board_dim dim = {
        .workers = WORKERS, .servers = SLOTS, .backends = 2, .frontends = 2};
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, 64, board_bytes(&dim)), 0);
    memset(memory, 0, board_bytes(&dim));
    f->board = board_init(memory, &dim);
    f->config = load_fine(text);
    for (int i = 0; i < WORKERS; i++)
        f->wake_fds[i] = eventfd(0, EFD_NONBLOCK);
    for (uint32_t i = 0; i < f->config->n_backends; i++)
        failover_begin(&f->config->backends[i], f->board);
    loop_init(&f->loop, NULL);
    log_set_sink(keep_line, f);
    begin(f);
    return f;
}

static void close_fixture(struct fixture *f)
{
    servers_free(f->servers);
    assert_int_equal(wheel_next_ms(&f->loop.wheel), UINT64_MAX);
    log_set_sink(NULL, NULL);
    for (int i = 0; i < WORKERS; i++)
        close(f->wake_fds[i]);
    arena_free(f->config->arena);
    free(f->board);
    free(f);
}

// A control process that was killed, and its replacement.
static void replace_control(struct fixture *f)
{
    servers_free(f->servers);
    begin(f);
}

static void new_config(struct fixture *f, const char *text)
{
    struct config *old = f->config;
    f->config = load_fine(text);
    servers_reconfigure(f->servers, f->config);
    arena_free(old->arena);
}

static void advance(struct fixture *f, uint64_t ms)
{
    uint64_t end = f->loop.now_ms + ms;
    while (f->loop.now_ms < end) {
        f->loop.now_ms = MIN_OF(end, f->loop.now_ms + WHEEL_TICK_MS);
        wheel_advance(&f->loop.wheel, f->loop.now_ms);
    }
}

static void check(struct fixture *f, uint32_t slot, enum check_verdict verdict, const char *reason)
{
    struct check_result r = {.at_ms = f->loop.now_ms, .latency_ms = 1, .verdict = verdict};
    snprintf(r.reason, sizeof(r.reason), "%s", reason);
    servers_checked(f->servers, slot, servers_track(f->servers, slot)->address_epoch, &r);
}

static void pass(struct fixture *f, uint32_t slot, int times)
{
    for (int i = 0; i < times; i++)
        check(f, slot, CHECK_PASSED, "");
}

static void refuse(struct fixture *f, uint32_t slot, int times)
{
    for (int i = 0; i < times; i++)
        check(f, slot, CHECK_FAILED, "connection refused");
}

static enum server_state state(struct fixture *f, uint32_t slot)
{
    assert_int_equal(servers_track(f->servers, slot)->state, f->board->server[slot].state);
    return f->board->server[slot].state;
}

// Which servers work, as letters; '-': no other.
static const char *working(struct fixture *f)
{
    static char out[SLOTS + 1];
    const struct backend *b = &f->config->backends[0];
    size_t n = 0;
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *s = &b->servers[i];
        if (sched_usable(f->board, s) && f->board->server[s->index].standby == 0)
            out[n++] = s->name.p[0];
    }
    out[n] = '\0';
    return out;
}

static const char *told(struct fixture *f)
{
    static char out[sizeof(f->told)];
    memcpy(out, f->told, sizeof(out));
    f->told[0] = '\0';
    return out;
}

// How often a worker was woken since it was asked.
static unsigned wakes(struct fixture *f, int worker)
{
    uint64_t n = 0;
    return read(f->wake_fds[worker], &n, sizeof(n)) == (ssize_t)sizeof(n) ? (unsigned)n : 0;
}

static uint32_t epoch(struct fixture *f)
{
    return f->board->cursor[0].epoch;
}

#define THREE                                                                                      \
    "listen: 80\nservers: {a: 10.0.0.1:80, b: 10.0.0.2:80, c: 10.0.0.3:80}\n"                      \
    "health: {type: http, every: 2s, fall: 3, rise: 2}\n"

// ---- checks -----------------------------------------------------------------------------------

static void test_first_check_decides(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    assert_string_equal(working(f), "abc");
    assert_string_equal(told(f), "");
    assert_int_equal(wakes(f, 0), 1); // the one before us may have died before it did so
    assert_int_equal(wakes(f, 1), 1);
    uint32_t before = epoch(f);
    refuse(f, 0, 1);
    pass(f, 1, 1);
    assert_int_equal(state(f, 0), SERVER_DOWN);
    assert_string_equal(working(f), "bc");
    assert_int_equal(epoch(f), before + 1);
    assert_int_equal(wakes(f, 0), 1);
    assert_int_equal(wakes(f, 1), 1);
    assert_string_equal(told(f), "server default/a is DOWN: connection refused "
                                 "(1 failed check, last took 1 ms)");
    refuse(f, 1, 1); // not its first
    assert_int_equal(state(f, 1), SERVER_UP);
    assert_int_equal(epoch(f), before + 1);
    assert_int_equal(wakes(f, 0), 0);
    close_fixture(f);
}

static void test_fall_and_rise(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    pass(f, 0, 1);
    refuse(f, 0, 2);
    pass(f, 0, 1);
    refuse(f, 0, 2);
    assert_int_equal(state(f, 0), SERVER_UP);
    advance(f, 5000);
    refuse(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_DOWN);
    assert_int_equal(f->board->server[0].since_ms, f->loop.now_ms);
    assert_string_equal(servers_track(f->servers, 0)->reason,
                        "connection refused (3 failed checks, last took 1 ms)");
    pass(f, 0, 1);
    refuse(f, 0, 1);
    pass(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_DOWN);
    (void)told(f);
    pass(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_UP);
    assert_string_equal(told(f), "server default/a is UP: 2 passed checks, last took 1 ms");
    close_fixture(f);
}

static void test_history(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    pass(f, 0, CHECK_HISTORY + 1);
    refuse(f, 0, 1);
    const struct server_track *t = servers_track(f->servers, 0);
    assert_int_equal(t->n_results, CHECK_HISTORY + 2);
    assert_int_equal(t->history[(t->n_results - 1) % CHECK_HISTORY].verdict, CHECK_FAILED);
    assert_int_equal(t->history[t->n_results % CHECK_HISTORY].verdict, CHECK_PASSED);
    close_fixture(f);
}

static void test_no_verdicts(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    struct check_result failed = {.verdict = CHECK_FAILED};
    servers_checked(f->servers, 0, servers_track(f->servers, 0)->address_epoch + 1, &failed);
    servers_checked(f->servers, 7, 0, &failed);
    servers_checked(f->servers, UINT32_MAX, 0, &failed);
    assert_int_equal(servers_track(f->servers, 0)->n_results, 0);
    for (uint32_t i = 0; i < 3; i++)
        check(f, i, CHECK_LOCAL, "Too many open files");
    assert_string_equal(working(f), "abc");
    assert_string_equal(told(f), "");
    // said once, not three times
    const char *line = strstr(f->logged, "server default/a cannot be checked: Too many open files; "
                                         "states stay as they are\n");
    assert_non_null(line);
    assert_null(strstr(line, "default/b"));
    pass(f, 0, 1);
    pass(f, 1, 1);
    assert_null(strstr(f->logged, "can be checked again"));
    pass(f, 2, 1);
    assert_non_null(strstr(f->logged, "all servers can be checked again"));
    close_fixture(f);
}

static void test_suspicion(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    pass(f, 0, 1);
    servers_suspected(f->servers, 0);
    pass(f, 0, 1); // that is over
    refuse(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_UP);
    pass(f, 0, 1);
    servers_suspected(f->servers, 0);
    refuse(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_DOWN);
    assert_string_equal(servers_track(f->servers, 0)->reason,
                        "connection refused (failing traffic and 1 failed check, last took 1 ms)");
    close_fixture(f);
}

// A server that comes and goes does not fill the log; the feed hears of it.
static void test_flapping(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture("listen: 80\nservers: {a: 10.0.0.1:80, b: 10.0.0.2:80}\n"
                                     "health: {type: http, fall: 1, rise: 1}\n");
    unsigned lines = 0;
    for (int i = 0; i < 10; i++) {
        refuse(f, 0, 1);
        pass(f, 0, 1);
    }
    for (const char *p = f->logged; (p = strstr(p, "default/a is ")) != NULL; p++)
        lines++;
    assert_int_equal(lines, 10);
    advance(f, 60000);
    f->logged[0] = '\0';
    refuse(f, 0, 1);
    assert_non_null(strstr(f->logged, "default/a is DOWN: connection refused (1 failed check, "
                                      "last took 1 ms) (10 changes before were not logged)\n"));
    close_fixture(f);
}

// ---- administrators ---------------------------------------------------------------------------

static void test_maintenance(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    uint32_t began = servers_track(f->servers, 0)->address_epoch;
    refuse(f, 0, 1);
    (void)told(f);
    assert_null(servers_admin(f->servers, 0, ADMIN_MAINT, 0, STR("new disks")));
    assert_int_equal(state(f, 0), SERVER_MAINT);
    assert_string_equal(told(f), "server default/a is in maintenance: new disks");
    struct check_result failed = {.verdict = CHECK_FAILED};
    servers_checked(f->servers, 0, began, &failed);
    assert_int_equal(servers_track(f->servers, 0)->n_results, 1);
    // back: as at a start
    assert_null(servers_admin(f->servers, 0, ADMIN_READY, 0, STR_NONE));
    assert_int_equal(state(f, 0), SERVER_UP);
    assert_string_equal(told(f), "server default/a is UP");
    refuse(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_DOWN);
    assert_non_null(servers_admin(f->servers, 7, ADMIN_MAINT, 0, STR_NONE));
    close_fixture(f);
}

static void test_drain_for_a_while(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    pass(f, 0, 1);
    assert_null(servers_admin(f->servers, 0, ADMIN_DRAIN, f->loop.now_ms + 60000, STR("deploy")));
    assert_int_equal(state(f, 0), SERVER_DRAIN);
    refuse(f, 0, 3); // checks go on
    assert_int_equal(state(f, 0), SERVER_DOWN);
    pass(f, 0, 2);
    assert_int_equal(state(f, 0), SERVER_DRAIN);
    assert_string_equal(working(f), "bc");
    (void)told(f);
    advance(f, 59900);
    assert_int_equal(state(f, 0), SERVER_DRAIN);
    advance(f, 200);
    assert_int_equal(state(f, 0), SERVER_UP);
    assert_int_equal(f->board->server[0].admin, ADMIN_READY);
    assert_string_equal(f->board->server[0].admin_reason, "");
    assert_string_equal(told(f), "server default/a is UP: the time for which it was asked is over");
    close_fixture(f);
}

static void test_weights(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    uint32_t before = epoch(f);
    assert_null(servers_weight(f->servers, 0, 5, STR_NONE));
    assert_int_equal(f->board->server[0].weight, 6);
    assert_int_equal(epoch(f), before + 1);
    assert_null(servers_weight(f->servers, 0, 5, STR_NONE));
    assert_int_equal(epoch(f), before + 1);
    assert_null(servers_weight(f->servers, 0, 0, STR("too slow")));
    assert_int_equal(state(f, 0), SERVER_DRAIN);
    assert_string_equal(told(f), "server default/a drains: too slow");
    assert_null(servers_weight_as_configured(f->servers, 0));
    assert_int_equal(state(f, 0), SERVER_UP);
    assert_int_equal(f->board->server[0].weight, 0);
    assert_non_null(servers_weight(f->servers, 0, 257, STR_NONE));
    assert_non_null(servers_weight(f->servers, 7, 1, STR_NONE));
    close_fixture(f);
}

static void test_slow_start(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture("listen: 80\nservers: {a: {address: 10.0.0.1:80, slow-start: "
                                     "10s}, b: 10.0.0.2:80}\nhealth: {type: http, rise: 1}\n");
    assert_int_equal(state(f, 0), SERVER_UP); // not at a start
    refuse(f, 0, 1);
    pass(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_STARTING);
    assert_int_equal(f->board->server[0].withheld, 99);
    uint64_t since = f->board->server[0].since_ms;
    (void)told(f);
    uint32_t before = epoch(f);
    advance(f, 5000);
    assert_in_range(f->board->server[0].withheld, 45, 55);
    assert_true(epoch(f) > before + 10);
    replace_control(f);
    advance(f, 5020);
    assert_int_equal(f->board->server[0].withheld, 0);
    assert_int_equal(state(f, 0), SERVER_UP);
    assert_int_equal(f->board->server[0].since_ms, since);
    assert_string_equal(told(f), "");
    close_fixture(f);
}

// ---- failover ---------------------------------------------------------------------------------

#define PASSIVE(more) THREE "failover: active-passive\n" more

static void test_failover(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(PASSIVE("failback-after: 10s\n"));
    assert_string_equal(working(f), "a");
    refuse(f, 0, 1);
    assert_string_equal(working(f), "b");
    assert_string_equal(told(f), "server default/a is DOWN: connection refused (1 failed check, "
                                 "last took 1 ms)|default/b works now");
    assert_non_null(strstr(f->logged, "last took 1 ms); default/b works now\n"));
    assert_true(servers_backend(f->servers, 0)->switched_wall_ms > 0);
    pass(f, 0, 2);
    assert_int_equal(state(f, 0), SERVER_UP);
    assert_string_equal(working(f), "b");
    assert_int_equal(servers_backend(f->servers, 0)->reason, FAILOVER_KEPT);
    (void)told(f);
    advance(f, 9900);
    assert_string_equal(working(f), "b");
    advance(f, 200);
    assert_string_equal(working(f), "a");
    assert_string_equal(told(f), "default/a works now");
    assert_non_null(strstr(f->logged, "backend default: default/a works now: "));
    close_fixture(f);
}

static void test_nobody_left(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture("listen: 80\nservers: {a: 10.0.0.1:80, b: 10.0.0.2:80}\n"
                                     "health: {type: http, rise: 1}\n");
    refuse(f, 0, 1);
    (void)told(f);
    refuse(f, 1, 1);
    assert_string_equal(told(f), "server default/b is DOWN: connection refused (1 failed check, "
                                 "last took 1 ms)|no server of default is usable");
    pass(f, 0, 1);
    assert_string_equal(told(f), "server default/a is UP: 1 passed check, last took 1 ms");
    close_fixture(f);
}

static void test_manual_failback(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(PASSIVE("failback: manual\n"));
    refuse(f, 0, 1);
    pass(f, 0, 2);
    assert_non_null(
        strstr(f->logged, "; it stands by until 'evlb ctl backend switch default a'\n"));
    advance(f, 100000);
    assert_string_equal(working(f), "b");
    (void)told(f);
    assert_null(servers_switch(f->servers, 0, 0, STR("night shift")));
    assert_string_equal(working(f), "a");
    assert_string_equal(told(f), "default/a works now");
    assert_non_null(strstr(f->logged, "default/a works now: night shift\n"));
    refuse(f, 1, 1);
    assert_non_null(servers_switch(f->servers, 0, 1, STR_NONE));
    assert_non_null(servers_switch(f->servers, 0, 3, STR_NONE));
    assert_non_null(servers_switch(f->servers, 1, 0, STR_NONE));
    assert_string_equal(working(f), "a");
    close_fixture(f);
}

#define TIERS                                                                                      \
    "listen: 80\nservers: {a: 10.0.0.1:80, b: 10.0.0.2:80, c: {address: 10.0.0.3:80, tier: 2}}\n"  \
    "health: {type: http, rise: 1}\n"

static void test_tiers(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(TIERS);
    assert_string_equal(working(f), "ab");
    refuse(f, 0, 1);
    assert_string_equal(working(f), "b");
    (void)told(f);
    refuse(f, 1, 1);
    assert_string_equal(working(f), "c");
    assert_non_null(strstr(told(f), "|tier 2 of default works now"));
    pass(f, 1, 1);
    assert_string_equal(working(f), "b");
    close_fixture(f);
}

// ---- a killed control process -----------------------------------------------------------------

static void test_takes_over(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(PASSIVE(""));
    refuse(f, 0, 1);
    pass(f, 1, 1);
    assert_null(servers_admin(f->servers, 2, ADMIN_DRAIN, f->loop.now_ms + 9000, STR("deploy")));
    (void)told(f);
    uint32_t before = epoch(f);
    replace_control(f);
    assert_string_equal(told(f), "");
    assert_int_equal(epoch(f), before + 1);
    assert_int_equal(state(f, 0), SERVER_DOWN);
    assert_string_equal(working(f), "b");
    assert_int_equal(state(f, 2), SERVER_DRAIN);
    assert_string_equal(servers_track(f->servers, 2)->admin_reason, "deploy");
    // hysteresis goes on as if nothing had been
    pass(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_DOWN);
    refuse(f, 1, 2);
    assert_int_equal(state(f, 1), SERVER_UP);
    advance(f, 9100);
    assert_int_equal(state(f, 2), SERVER_UP);
    close_fixture(f);
}

// Who works is remembered: failback: manual, and an administrator's choice.
static void test_takes_over_who_works(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(PASSIVE("failback: manual\n"));
    refuse(f, 0, 1);
    pass(f, 0, 2);
    replace_control(f);
    assert_string_equal(working(f), "b");
    close_fixture(f);
    f = open_fixture(PASSIVE(""));
    assert_null(servers_switch(f->servers, 0, 2, STR_NONE));
    replace_control(f);
    assert_string_equal(working(f), "c");
    assert_int_equal(servers_backend(f->servers, 0)->reason, FAILOVER_SWITCHED);
    close_fixture(f);
}

// ---- a new configuration ----------------------------------------------------------------------

static void test_reconfigure(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    refuse(f, 0, 1);
    assert_null(servers_weight(f->servers, 1, 0, STR_NONE));
    assert_null(servers_weight(f->servers, 2, 7, STR_NONE));
    (void)told(f);
    uint32_t began = servers_track(f->servers, 0)->address_epoch;
    new_config(f, "listen: 80\nservers: {a: 10.0.0.1:80, b: 10.0.0.2:80, c: {address: "
                  "10.0.0.3:80, weight: 3}, d: 10.0.0.4:80}\n"
                  "health: {type: http, rise: 2}\n");
    assert_int_equal(state(f, 0), SERVER_DOWN);
    assert_int_not_equal(servers_track(f->servers, 0)->address_epoch, began);
    assert_int_equal(state(f, 1), SERVER_DRAIN);     // the file did not change that
    assert_int_equal(f->board->server[2].weight, 0); // but this
    assert_int_equal(state(f, 3), SERVER_UP);
    assert_string_equal(told(f), "");
    new_config(f, "listen: 80\nservers: {a: 10.0.0.1:80}\nhealth: off\n");
    assert_string_equal(told(f), "server default/a is UP");
    assert_null(servers_track(f->servers, 1));
    close_fixture(f);
}

static void test_mode_switch(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture(THREE);
    new_config(f, PASSIVE(""));
    assert_string_equal(working(f), "a");
    new_config(f, THREE);
    assert_string_equal(working(f), "abc");
    close_fixture(f);
}

// ---- addresses --------------------------------------------------------------------------------

static void test_addresses(void **state_)
{
    (void)state_;
    struct fixture *f = open_fixture("listen: 80\nservers: {a: app.test:80, b: 10.0.0.2:80}\n"
                                     "health: {type: http}\n");
    struct addr addr, seen;
    assert_int_equal(state(f, 0), SERVER_UNRESOLVED);
    assert_string_equal(working(f), "b");
    assert_true(addr_parse_ip(STR("10.0.0.9"), 80, &addr));
    servers_resolved(f->servers, 0, &addr, 0);
    assert_string_equal(working(f), "ab");
    assert_string_equal(told(f), "server default/a is UP");
    board_addr_read(f->board, 0, &seen);
    assert_true(addr_eq(&addr, &seen));
    uint32_t before = epoch(f), began = servers_track(f->servers, 0)->address_epoch;
    servers_resolved(f->servers, 0, &addr, 0);
    assert_int_equal(epoch(f), before);
    assert_int_equal(servers_track(f->servers, 0)->address_epoch, began);
    // another one: what was known of the old one is worth nothing
    pass(f, 0, 1);
    assert_true(addr_parse_ip(STR("10.0.0.10"), 80, &addr));
    servers_resolved(f->servers, 0, &addr, 5);
    assert_int_equal(epoch(f), before + 1);
    assert_int_equal(f->board->server[0].weight, 6);
    refuse(f, 0, 1);
    assert_int_equal(state(f, 0), SERVER_DOWN);
    servers_resolved(f->servers, 0, NULL, 0);
    assert_int_equal(state(f, 0), SERVER_UNRESOLVED);
    replace_control(f);
    assert_int_equal(state(f, 0), SERVER_UNRESOLVED);
    close_fixture(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_check_decides),
        cmocka_unit_test(test_fall_and_rise),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_no_verdicts),
        cmocka_unit_test(test_suspicion),
        cmocka_unit_test(test_flapping),
        cmocka_unit_test(test_maintenance),
        cmocka_unit_test(test_drain_for_a_while),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_slow_start),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_nobody_left),
        cmocka_unit_test(test_manual_failback),
        cmocka_unit_test(test_tiers),
        cmocka_unit_test(test_takes_over),
        cmocka_unit_test(test_takes_over_who_works),
        cmocka_unit_test(test_reconfigure),
        cmocka_unit_test(test_mode_switch),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
