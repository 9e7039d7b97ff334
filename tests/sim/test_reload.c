// SPDX-License-Identifier: MIT
// Reload in place, as the worker sees it: messages come, and whatever is in progress goes on with
// the configuration that it began with.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialogues.h"
#include "messages.h"
#include "proxy/generation.h"
#include "sim.h"

#define FIRST "balance: first\n"
#define BOTH FIRST TWO
#define OTHER "servers: [10.0.0.2:80]\n"
#define FRONTENDS(list) "frontends: {" list "}\nbackends: {b: {servers: [10.0.0.1:80]}}\n"
#define WEB "web: {listen: 80, backend: b}"
#define API "api: {listen: 81, backend: b}"

enum { SLOT_ONE, SLOT_TWO }; // of 10.0.0.1 and the server that comes second

static void reload(struct sim *t, const char *yaml)
{
    assert_int_equal(sim_reload(t, yaml), 0);
    assert_int_equal(t->w.now->number, t->generation);
}

// The request has come to that connection, which leads to that server.
static void expect_request(struct sim *t, int peer, int slot, const char *line)
{
    sim_expect_part(t, peer, line, SIM_OPEN);
    assert_int_equal(t->peers[peer].server, slot);
}

static void answer(struct sim *t, int client, int server)
{
    sim_send(t, server, OKAY);
    sim_expect(t, client, OKAY, SIM_OPEN);
}

// Only the newest configuration is left.
static void expect_one_generation(struct sim *t)
{
    assert_int_equal(sim_released(t), t->generation);
    assert_int_equal(sim_generations(t), 1);
}

// ---- in the middle of a request

enum stage { BEFORE, HALF_HEAD, CONNECTING, HALF_UP, WAITING, HALF_DOWN, AFTER, STAGES };

// A POST with the reload at one of its stages.
static void play(enum stage at, const char *to, bool stays)
{
    struct sim *t = sim_new(FIRST ONE);
    int slot = at == BEFORE && !stays ? SLOT_TWO : SLOT_ONE;
    t->dial[SLOT_ONE] = t->dial[SLOT_TWO] = DIAL_HANG;
    (void)sim_connect(t);
    for (enum stage now = BEFORE; now < STAGES; now++) {
        static const char *const says[STAGES] = {
            [BEFORE] = "POST /1 HTTP/1.1\r\nHos",
            [HALF_HEAD] = "t: a\r\nContent-Length: 4\r\n\r\nab",
            [HALF_UP] = "cd",
        };
        sim_run(t);
        if (now == at)
            reload(t, to);
        if (now == CONNECTING)
            sim_accept(t, SERVER);
        if (says[now] != NULL)
            sim_send(t, CLIENT, says[now]);
        if (now == WAITING)
            sim_send(t, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nef");
        if (now == HALF_DOWN)
            sim_send(t, SERVER, "gh");
    }
    sim_expect_part(t, SERVER, "POST /1 ", stays || at == BEFORE ? SIM_OPEN : SIM_FIN);
    assert_int_equal(t->peers[SERVER].server, slot);
    sim_expect_part(t, CLIENT, "\r\n\r\nefgh", SIM_OPEN);
    sim_expect_end(t, END_OK);
    expect_one_generation(t);
    // the next one on the same connection: where the new configuration says
    t->dial[SLOT_ONE] = t->dial[SLOT_TWO] = DIAL_OK;
    sim_send(t, CLIENT, GET("/2"));
    sim_run(t);
    int next = stays || at == BEFORE ? SERVER : SERVER_N(1);
    expect_request(t, next, stays ? SLOT_ONE : SLOT_TWO, "GET /2 ");
    answer(t, CLIENT, next);
    sim_free(t);
}

static void test_server_replaced(void **state)
{
    (void)state;
    for (enum stage at = BEFORE; at < STAGES; at++)
        play(at, FIRST OTHER, false);
}

static void test_server_stays(void **state)
{
    (void)state;
    for (enum stage at = BEFORE; at < STAGES; at++) {
        play(at, BOTH, true);
        play(at, FIRST ONE TIMEOUT("keep-alive: 5s"), true);
    }
}

// What is retried looks for a server in the configuration that it began with.
static void test_retry(void **state)
{
    (void)state;
    struct sim *t = sim_new(BOTH);
    t->dial[SLOT_ONE] = DIAL_HANG;
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    reload(t, "servers: [10.0.0.3:80]\n");
    sim_reset(t, SERVER);
    expect_request(t, SERVER_N(1), SLOT_TWO, "GET /1 ");
    answer(t, CLIENT, SERVER_N(1));
    sim_send(t, CLIENT, GET("/2"));
    sim_run(t);
    expect_request(t, SERVER_N(2), SLOT_TWO + 1, "GET /2 ");
    answer(t, CLIENT, SERVER_N(2));
    sim_free(t);
}

// Requests that came together with the one in progress are next ones.
static void test_pipelined(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/1") GET("/2"));
    expect_request(t, SERVER, SLOT_ONE, "GET /1 ");
    reload(t, OTHER);
    sim_send(t, SERVER, OKAY);
    sim_run(t);
    expect_request(t, SERVER_N(1), SLOT_TWO, "GET /2 ");
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect(t, CLIENT, OKAY OKAY, SIM_OPEN);
    expect_one_generation(t);
    sim_free(t);
}

// Rules for heads and the client's timeouts are those of the request's own configuration.
static void test_frontend_changed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("server: 5s"));
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    reload(t, ONE TIMEOUT("server: 60s") "headers: {response: {set: {X-New: '1'}}}\n");
    sim_send(t, CLIENT_N(1), GET("/2"));
    sim_run(t);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect_part(t, CLIENT_N(1), "X-New: 1\r\n", SIM_OPEN);
    sim_advance(t, 6000);
    sim_expect_part(t, CLIENT, "HTTP/1.1 504 ", SIM_FIN);
    sim_send(t, CLIENT_N(1), GET("/3"));
    sim_run(t);
    sim_advance(t, 6000);
    sim_expect(t, CLIENT_N(1), "", SIM_OPEN);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect_part(t, CLIENT_N(1), "X-New: 1\r\n", SIM_OPEN);
    sim_free(t);
}

static void test_idle_client(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("keep-alive: 20s"));
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    reload(t, ONE TIMEOUT("keep-alive: 5s"));
    expect_one_generation(t);
    sim_advance(t, 10000);
    sim_expect_state(t, CLIENT, SIM_OPEN); // this wait was begun under the old one
    sim_send(t, CLIENT, GET("/2"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    sim_advance(t, 6000);
    sim_expect_state(t, CLIENT, SIM_FIN);
    sim_free(t);
}

// ---- server connections

static void test_idle_pool(void **state)
{
    (void)state;
    struct sim *t = sim_new("servers: {a: 10.0.0.1:80, b: 10.0.0.2:80}\n");
    for (int i = 0; i < 2; i++) {
        sim_send(t, CLIENT, GET("/"));
        sim_run(t);
        answer(t, CLIENT, SERVER_N(i));
    }
    reload(t, "servers: {b: 10.0.0.2:80, c: 10.0.0.3:80}\n");
    sim_expect_state(t, SERVER, SIM_FIN);
    sim_expect_state(t, SERVER_N(1), SIM_OPEN);
    assert_int_equal(t->w.n_upstreams, 1);
    reload(t, "servers: {b: 10.0.0.2:80}\nreuse: never\n");
    sim_expect_state(t, SERVER_N(1), SIM_FIN);
    sim_free(t);
}

// The shorter one of the old and the new timeout.idle holds for what is in the pool already.
static void test_idle_timeout_changed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("idle: 20s"));
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    reload(t, ONE TIMEOUT("idle: 5s"));
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    sim_advance(t, 6000);
    sim_expect_state(t, SERVER, SIM_FIN);
    sim_free(t);
}

static void test_pinned(void **state)
{
    (void)state;
    const char *const to[] = {TWO TIMEOUT("keep-alive: 5s"), OTHER, "reuse: never\n" TWO};
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        for (int busy = 0; busy < 2; busy++) {
            struct sim *t = sim_new(TWO);
            sim_send(t, CLIENT, GET("/login"));
            sim_run(t);
            if (busy)
                reload(t, to[i]);
            sim_send(t, SERVER,
                     "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
                     "Content-Length: 0\r\n\r\n");
            sim_expect_part(t, CLIENT, "401 ", SIM_OPEN);
            if (!busy)
                reload(t, to[i]);
            expect_one_generation(t);
            sim_expect_state(t, SERVER, i == 0 ? SIM_OPEN : SIM_FIN);
            sim_send(t, CLIENT, GET("/mine"));
            sim_expect_part(t, i == 0 ? SERVER : SERVER_N(1), "GET /mine ", SIM_OPEN);
            answer(t, CLIENT, i == 0 ? SERVER : SERVER_N(1));
            sim_free(t);
        }
    }
}

// A request of the old configuration, on a connection that was pinned meanwhile belongs to the new.
static void test_pinned_and_old_request(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, GET("/login"));
    sim_run(t);
    sim_send(t, SERVER,
             "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
             "Content-Length: 0\r\n\r\n");
    sim_expect_part(t, CLIENT, "401 ", SIM_OPEN);
    sim_send(t, CLIENT, "GET /mine HT");
    sim_run(t);
    reload(t, BOTH);
    reload(t, ONE);
    sim_send(t, CLIENT, "TP/1.1\r\nHost: a\r\n\r\n");
    expect_request(t, SERVER, SLOT_ONE, "GET /mine ");
    reload(t, BOTH);
    answer(t, CLIENT, SERVER);
    expect_one_generation(t);
    sim_free(t);
}

// The board knows another address of a server than before: new connections go there, idle ones to
// the old address are not used any more; without one there is nothing to connect to.
static void test_address_changed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    struct addr to = t->config->servers[0].addr;
    for (int i = 0; i < 2; i++) {
        sim_send(t, CLIENT_N(i), GET("/1"));
        sim_run(t);
    }
    answer(t, CLIENT, SERVER); // one is idle, one in use
    to.ip.v4.sin_addr.s_addr = htonl(0x0a0000f0);
    board_addr_write(t->board, SLOT_ONE, &to);
    answer(t, CLIENT_N(1), SERVER_N(1));
    sim_expect_state(t, SERVER_N(1), SIM_FIN);
    sim_send(t, CLIENT, "GET /2 HTTP/1.0\r\n\r\n");
    sim_expect_part(t, SERVER_N(2), "Host: 10.0.0.240:80\r\n", SIM_OPEN);
    sim_expect_state(t, SERVER, SIM_FIN);
    sim_send(t, SERVER_N(2), OKAY);
    sim_expect_part(t, CLIENT, "\r\n\r\nhi", SIM_FIN);
    to.len = 0;
    board_addr_write(t->board, SLOT_ONE, &to);
    sim_send(t, CLIENT_N(1), GET("/3"));
    sim_expect_part(t, CLIENT_N(1), "HTTP/1.1 503 ", SIM_OPEN);
    assert_int_equal(t->n_dials, 3);
    sim_free(t);
}

// ---- tunnels and layer 4

static void open_tunnel(struct sim *t, int client, int server)
{
    sim_send(t, client, UPGRADE);
    sim_run(t);
    sim_send(t, server, SWITCH "\r\n");
    sim_expect_part(t, client, "101 ", SIM_OPEN);
    (void)sim_take(t, server);
}

static void expect_echo(struct sim *t, int client, int server)
{
    sim_send(t, client, "ping");
    sim_expect(t, server, "ping", SIM_OPEN);
    sim_send(t, server, "pong");
    sim_expect(t, client, "pong", SIM_OPEN);
}

static void test_tunnel(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE TIMEOUT("tunnel: 60s"));
    open_tunnel(t, CLIENT, SERVER);
    reload(t, OTHER TIMEOUT("tunnel: 5s"));
    expect_echo(t, CLIENT, SERVER);
    sim_advance(t, 50000);
    expect_echo(t, CLIENT, SERVER);
    open_tunnel(t, CLIENT_N(1), SERVER_N(1));
    sim_advance(t, 6000);
    sim_expect_state(t, CLIENT_N(1), SIM_RST);
    sim_expect_end(t, END_TUNNEL_IDLE);
    assert_int_equal(sim_generations(t), 2);
    sim_close(t, CLIENT);
    sim_close(t, SERVER);
    expect_one_generation(t);
    sim_free(t);
}

static void test_layer_4(void **state)
{
    (void)state;
    struct sim *t = sim_new("mode: tcp\n" ONE);
    sim_send(t, CLIENT, "a");
    sim_expect(t, SERVER, "a", SIM_OPEN);
    t->dial[SLOT_ONE] = DIAL_HANG;
    sim_send(t, CLIENT_N(1), "b");
    sim_run(t);
    reload(t, "mode: tcp\n" OTHER);
    expect_echo(t, CLIENT, SERVER);
    sim_accept(t, SERVER_N(1));
    sim_expect(t, SERVER_N(1), "b", SIM_OPEN);
    sim_send(t, CLIENT_N(2), "c");
    sim_expect(t, SERVER_N(2), "c", SIM_OPEN);
    assert_int_equal(t->peers[SERVER_N(2)].server, SLOT_TWO);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sim_generations(t), i < 2 ? 2 : 1);
        sim_fin(t, CLIENT_N(i));
        sim_fin(t, SERVER_N(i));
        sim_expect(t, CLIENT_N(i), "", SIM_FIN);
    }

    sim_free(t);
}

// What stands between an old tunnel and now is freed as soon as nobody uses it.
static void test_freed_out_of_order(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    for (int i = 0; i < 4; i++) {
        open_tunnel(t, CLIENT_N(i), SERVER_N(i));
        reload(t, i % 2 ? ONE : TWO);
    }
    static const struct {
        int closed, generations;
        uint32_t oldest;
    } steps[] = {{1, 4, 1}, {2, 3, 1}, {0, 2, 4}, {3, 1, 5}};
    assert_int_equal(sim_generations(t), 5);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        sim_close(t, CLIENT_N(steps[i].closed));
        sim_close(t, SERVER_N(steps[i].closed));
        assert_int_equal(sim_released(t), steps[i].oldest);
        assert_int_equal(sim_generations(t), steps[i].generations);
    }
    sim_free(t);
}

// Memory does not grow with reloads, whatever one tunnel holds.
static void test_many_reloads(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    open_tunnel(t, CLIENT, SERVER);
    reload(t, BOTH);
    reload(t, ONE);
    int arenas = sim_arenas();
    for (int i = 0; i < 200; i++) {
        reload(t, i % 2 ? ONE : BOTH);
        sim_send(t, CLIENT_N(1), GET("/"));
        sim_run(t);
        answer(t, CLIENT_N(1), SERVER_N(1)); // over the same connection each time
        assert_true(sim_generations(t) <= 2);
        if (i % 2)
            assert_int_equal(sim_arenas(), arenas);
        assert_int_equal(sim_released(t), 1);
    }
    expect_echo(t, CLIENT, SERVER);
    sim_close(t, CLIENT);
    sim_close(t, SERVER);
    expect_one_generation(t);
    sim_free(t);
}

// ---- listeners

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_listener_removed(void **state)
{
    (void)state;
    struct sim *t = sim_new(FRONTENDS(WEB ", " API));
    struct listener *api = sim_listener(t, 1);
    int idle = sim_connect_to(t, api), busy = sim_connect_to(t, api),
        tunnel = sim_connect_to(t, api);
    sim_send(t, idle, GET("/idle"));
    sim_run(t);
    answer(t, idle, SERVER);
    sim_send(t, busy, GET("/busy"));
    expect_request(t, SERVER, SLOT_ONE, "GET /busy ");
    open_tunnel(t, tunnel, SERVER_N(1));
    sim_advance(t, 2000);
    int fresh = sim_connect_to(t, api), other = sim_connect(t);
    reload(t, FRONTENDS(WEB));
    assert_null(sim_listener(t, 1));
    sim_expect(t, idle, "", SIM_FIN);
    sim_expect_state(t, other, SIM_OPEN);
    sim_send(t, SERVER, OKAY);
    sim_expect_part(t, busy, "Connection: close\r\n\r\nhi", SIM_FIN);
    sim_send(t, fresh, GET("/fresh"));
    expect_request(t, SERVER, SLOT_ONE, "GET /fresh ");
    sim_send(t, SERVER, OKAY);
    sim_expect_part(t, fresh, "Connection: close\r\n\r\nhi", SIM_FIN);
    expect_echo(t, tunnel, SERVER_N(1));
    assert_int_equal(sim_generations(t), 2);
    assert_int_equal(board_total(t->board, board_frontend_slot(t->board, 1)), 1);
    reload(t, FRONTENDS(WEB ", " API)); // it comes back, with another socket
    assert_ptr_not_equal(sim_listener(t, 1), api);
    sim_send(t, sim_connect_to(t, sim_listener(t, 1)), GET("/again"));
    expect_request(t, SERVER, SLOT_ONE, "GET /again ");
    answer(t, 5, SERVER);
    sim_close(t, tunnel);
    sim_close(t, SERVER_N(1));
    expect_one_generation(t);
    sim_free(t);
}

static void test_sockets(void **state)
{
    (void)state;
    struct sim *t = sim_new(FRONTENDS(WEB));
    reload(t, FRONTENDS(WEB ", " API));
    struct listener *api = sim_listener(t, 1);
    int fd = api->watcher.fd;
    assert_true(is_open(fd));
    reload(t, FRONTENDS(WEB ", api: {listen: 81, backend: b, timeout: {client: 9s}}"));
    assert_ptr_equal(sim_listener(t, 1), api); // changed, not replaced
    assert_int_equal(api->watcher.fd, fd);
    assert_int_equal(api->frontend->timeout.client, 9000);
    reload(t, FRONTENDS("web: {listen: [80, 81], backend: b}")); // now another frontend's
    assert_ptr_equal(sim_listener(t, 1), api);
    assert_string_equal(api->frontend->name.p, "web");
    reload(t, FRONTENDS(WEB));
    assert_false(is_open(fd));
    expect_one_generation(t);
    sim_free(t);
}

// Connections that the kernel has accepted for a listener that goes are served.
static void test_kernel_queue(void **state)
{
    (void)state;
    struct sim *t = sim_new(FRONTENDS(WEB));
    struct sockaddr_un to;
    socklen_t len = sizeof(to);
    char got[1024];
    reload(t, FRONTENDS(WEB ", " API));
    assert_int_equal(getsockname(sim_listener(t, 1)->watcher.fd, (struct sockaddr *)&to, &len), 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&to, len), 0);
    assert_int_equal(write(client, GET("/q"), strlen(GET("/q"))), strlen(GET("/q")));
    reload(t, FRONTENDS(WEB));
    assert_int_equal(t->w.n_sessions, 1);
    sim_run(t);
    expect_request(t, SERVER, SLOT_ONE, "GET /q ");
    sim_send(t, SERVER, OKAY);
    sim_run(t);
    ssize_t n = read(client, got, sizeof(got) - 1);
    assert_true(n > 0);
    got[n] = '\0';
    assert_non_null(strstr(got, "Connection: close\r\n\r\nhi"));
    assert_int_equal(read(client, got, sizeof(got)), 0);
    close(client);
    assert_int_equal(t->w.n_sessions, 0);
    expect_one_generation(t);
    sim_free(t);
}

// The mode of a frontend changes: the socket stays, the connections of the old mode end as if the
// listener had gone.
static void test_mode_changed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    reload(t, "listen: [80, 81]\n" ONE);
    struct listener *before = sim_listener(t, 1);
    int fd = before->watcher.fd;
    int idle = sim_connect_to(t, before), busy = sim_connect_to(t, before);
    sim_send(t, idle, GET("/idle"));
    sim_run(t);
    answer(t, idle, SERVER);
    sim_send(t, busy, GET("/busy"));
    expect_request(t, SERVER, SLOT_ONE, "GET /busy ");
    reload(t, "mode: tcp\nlisten: [80, 81]\n" ONE);
    assert_ptr_not_equal(sim_listener(t, 1), before);
    assert_int_equal(sim_listener(t, 1)->watcher.fd, fd);
    assert_true(is_open(fd));
    sim_expect(t, idle, "", SIM_FIN);
    sim_send(t, SERVER, OKAY);
    sim_expect_part(t, busy, "Connection: close\r\n\r\nhi", SIM_FIN);
    sim_expect_state(t, SERVER, SIM_OPEN);
    int raw = sim_connect_to(t, sim_listener(t, 1));
    sim_send(t, raw, "raw");
    sim_expect(t, SERVER_N(1), "raw", SIM_OPEN);
    reload(t, "listen: [80, 81]\n" ONE); // and back, while that goes on
    expect_echo(t, raw, SERVER_N(1));
    sim_close(t, raw);
    sim_close(t, SERVER_N(1));
    expect_one_generation(t);
    sim_free(t);
}

// A frontend that got another name counts the connections of its listener from then on.
static void test_frontend_renamed(void **state)
{
    (void)state;
    struct sim *t = sim_new(FRONTENDS(WEB));
    uint32_t web = board_frontend_slot(t->board, 0), www = board_frontend_slot(t->board, 1);
    sim_send(t, CLIENT, GET("/1"));
    sim_run(t);
    (void)sim_connect(t);
    reload(t, FRONTENDS("www: {listen: 80, backend: b}"));
    assert_int_equal(board_total(t->board, web), 0);
    assert_int_equal(board_total(t->board, www), 2);
    answer(t, CLIENT, SERVER); // counted as what it began as
    assert_int_equal(t->w.count->frontends[0].n[FRONTEND_REQUESTS], 1);
    sim_send(t, CLIENT, GET("/2"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    assert_int_equal(t->w.count->frontends[1].n[FRONTEND_REQUESTS], 1);
    expect_one_generation(t);
    sim_free(t);
}

// Whether a PROXY header must come was decided when the client came.
static void test_accept_proxy_changed(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    sim_send(t, CLIENT, "GET /1 HTTP/1.1\r\n");
    int silent = sim_connect(t);
    sim_run(t);
    reload(t, "listen: {address: 80, accept-proxy: true}\ntrusted-proxies: [127.0.0.0/8]\n" ONE);
    sim_send(t, CLIENT, "Host: a\r\n\r\n");
    expect_request(t, SERVER, SLOT_ONE, "GET /1 ");
    answer(t, CLIENT, SERVER);
    sim_send(t, silent, GET("/2"));
    expect_request(t, SERVER, SLOT_ONE, "GET /2 ");
    answer(t, silent, SERVER);
    sim_send(t, CLIENT_N(2), "PROXY TCP4 1.2.3.4 5.6.7.8 9 80\r\n" GET("/3"));
    expect_request(t, SERVER, SLOT_ONE, "X-Forwarded-For: 1.2.3.4\r\n");
    answer(t, CLIENT_N(2), SERVER);
    sim_send(t, CLIENT_N(3), GET("/4"));
    sim_expect(t, CLIENT_N(3), "", SIM_FIN);

    sim_free(t);
}

// ---- what cannot be taken, and when

static void test_refused(void **state)
{
    (void)state;
    struct sim *t = sim_new(FRONTENDS(WEB));
    struct config *c;
    struct message m = {.type = MSG_CONFIG, .arg = ++t->generation, .n_fds = 1};
    int fd = sim_listen(); // no memory at all
    assert_int_equal(sim_tell(t, &m, &fd), 1);
    close(fd);
    fd = channel_text(STR("no bundle"));
    assert_int_equal(sim_tell(t, &m, &fd), 1);
    close(fd);
    fd = sim_bundle(t, FRONTENDS(WEB ", " API), &c); // its socket does not come
    arena_free(c->arena);
    assert_int_equal(sim_tell(t, &m, &fd), 1);
    close(fd);
    m.n_fds = 0;
    assert_int_equal(sim_tell(t, &m, NULL), 1);
    char many[2000] = "servers: [", *at = many + strlen(many);
    for (int i = 0; i < SIM_SLOTS; i++)
        at += snprintf(at, 64, "10.0.1.%d:80, ", i);
    snprintf(at, 64, "10.0.1.200:80]\n");
    t->slots[0].n = 0; // one more than the board has room for
    fd = sim_bundle(t, many, &c);
    arena_free(c->arena);
    m.n_fds = 1;
    assert_int_equal(sim_tell(t, &m, &fd), 1);
    close(fd);
    assert_int_equal(t->w.now->number, 1);
    assert_int_equal(sim_generations(t), 1);
    sim_send(t, CLIENT, GET("/"));
    sim_run(t);
    answer(t, CLIENT, SERVER);
    sim_free(t);
}

// Sockets that came with a configuration that was refused are not left for the next one.
static void test_sockets_of_a_refused_one(void **state)
{
    (void)state;
    struct sim *t = sim_new(FRONTENDS(WEB));
    struct message sockets = {.type = MSG_LISTENERS, .n_fds = 1, .id = {1}};
    struct message m = {.type = MSG_CONFIG, .arg = ++t->generation};
    int fd = sim_listen();
    assert_int_equal(sim_tell(t, &sockets, &fd), UINT32_MAX);
    close(fd);
    assert_false(list_empty(&t->w.sockets));
    assert_int_equal(sim_tell(t, &m, NULL), 1);
    assert_true(list_empty(&t->w.sockets));
    assert_int_equal(sim_tell(t, &sockets, (fd = sim_listen(), &fd)), UINT32_MAX);
    close(fd);
    sim_free(t); // closes what still waits
}

static void test_draining(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    open_tunnel(t, CLIENT, SERVER);
    reload(t, TWO);
    sim_send(t, CLIENT_N(1), GET("/1"));
    sim_run(t);
    reload(t, OTHER);
    const struct message drain = {.type = MSG_DRAIN, .arg = 60000};
    assert_int_equal(sim_tell(t, &drain, NULL), UINT32_MAX);
    assert_int_equal(sim_generations(t), 3);
    assert_int_equal(sim_reload(t, ONE), 0); // it has nothing to begin any more
    assert_int_equal(sim_generations(t), 3);
    sim_send(t, SERVER_N(1), OKAY);
    sim_expect_part(t, CLIENT_N(1), "Connection: close\r\n\r\nhi", SIM_FIN);
    assert_int_equal(sim_generations(t), 2);
    expect_echo(t, CLIENT, SERVER);
    sim_advance(t, 61000);
    sim_expect_state(t, CLIENT, SIM_RST);
    sim_expect_state(t, CLIENT_N(1), SIM_FIN);
    assert_int_equal(t->w.n_sessions, 0);
    sim_free(t);
}

static void test_process_settings(void **state)
{
    (void)state;
    struct sim *t = sim_new(ONE);
    struct config *c;
    enum log_level before = log_get_level();
    int fd = sim_bundle(t, ONE "log: {level: error}\n", &c);
    arena_free(c->arena);
    struct message m = {.type = MSG_CONFIG, .arg = ++t->generation, .value = 77, .n_fds = 1};
    assert_int_equal(sim_tell(t, &m, &fd), 0);
    close(fd);
    assert_int_equal(log_get_level(), LOG_ERROR);
    assert_int_equal(t->w.max_connections, 77);
    m = (struct message){.type = MSG_LOG_LEVEL, .arg = LOG_DEBUG};
    assert_int_equal(sim_tell(t, &m, NULL), UINT32_MAX);
    reload(t, TWO "log: {level: error}\n"); // the file says what it said before
    assert_int_equal(log_get_level(), LOG_DEBUG);
    assert_int_equal(t->w.max_connections, 77);
    log_set_level(before);
    sim_free(t);
}

// ---- every dialogue, at every point

#define TURNS_MAX 40

static void test_dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_dialogues; i++) {
        for (int turn = 1; turn < TURNS_MAX; turn++)
            assert_true(dialogue_run(&dialogues[i], &(struct run){.reload_turn = turn}));
        assert_true(
            dialogue_run(&dialogues[i], &(struct run){.reload_turn = 1, .reload_every = 1}));
    }
}

static void test_dialogues_with_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_dialogues; i++) {
        for (int fault = FAULT_AGAIN; fault < FAULT_COUNT; fault++) {
            struct run r = {.fault = (enum sim_fault)fault};
            for (r.fault_at = 1; r.fault_at < 1000; r.fault_at++) {
                r.reload_turn = 1 + (int)(r.fault_at + i) % 4;
                r.reload_every = 3;
                if (!dialogue_run(&dialogues[i], &r))
                    break;
            }
        }
    }
}

static int say_what_failed(void **state)
{
    (void)state;
    if (dialogue_context()[0] != '\0')
        print_message("while playing: %s\n", dialogue_context());
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_replaced),
        cmocka_unit_test(test_server_stays),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_frontend_changed),
        cmocka_unit_test(test_idle_client),
        cmocka_unit_test(test_idle_pool),
        cmocka_unit_test(test_idle_timeout_changed),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_pinned_and_old_request),
        cmocka_unit_test(test_address_changed),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_layer_4),
        cmocka_unit_test(test_freed_out_of_order),
        cmocka_unit_test(test_many_reloads),
        cmocka_unit_test(test_listener_removed),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_kernel_queue),
        cmocka_unit_test(test_mode_changed),
        cmocka_unit_test(test_frontend_renamed),
        cmocka_unit_test(test_accept_proxy_changed),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sockets_of_a_refused_one),
        cmocka_unit_test(test_draining),
        cmocka_unit_test(test_process_settings),
        cmocka_unit_test_teardown(test_dialogues, say_what_failed),
        cmocka_unit_test_teardown(test_dialogues_with_faults, say_what_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
