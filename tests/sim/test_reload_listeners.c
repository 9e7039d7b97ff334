// SPDX-License-Identifier: MIT
// Reload in place: listeners that come, change and go, and configurations that a worker does not
// take.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reloads.h"

#define FRONTENDS(list) "frontends: {" list "}\nbackends: {b: {servers: [10.0.0.1:80]}}\n"
#define WEB "web: {listen: 80, backend: b}"
#define API "api: {listen: 81, backend: b}"

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

// A next request may be on the way: it is still answered; who stays silent is closed a second
// later.
static void test_a_client_that_was_busy_a_moment_ago(void **state)
{
    (void)state;
    struct sim *t = sim_new(FRONTENDS(WEB ", " API));
    struct listener *api = sim_listener(t, 1);
    int next = sim_connect_to(t, api), silent = sim_connect_to(t, api);
    sim_send(t, next, GET("/one"));
    sim_run(t);
    answer(t, next, SERVER);
    sim_send(t, silent, GET("/one"));
    sim_run(t);
    answer(t, silent, SERVER);
    reload(t, FRONTENDS(WEB));
    sim_expect_state(t, silent, SIM_OPEN);
    sim_send(t, next, GET("/two"));
    expect_request(t, SERVER, SLOT_ONE, "GET /two ");
    sim_send(t, SERVER, OKAY);
    sim_expect_part(t, next, "Connection: close\r\n\r\nhi", SIM_FIN);
    sim_advance(t, 1100);
    sim_expect(t, silent, "", SIM_FIN);
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
    sim_advance(t, 2000);
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
    int fd = sim_bundle(t, TWO, &c);
    arena_free(c->arena);
    struct message m = {.type = MSG_CONFIG, .arg = ++t->generation, .value = 77, .n_fds = 1};
    assert_int_equal(sim_tell(t, &m, &fd), 0);
    close(fd);
    assert_int_equal(t->w.max_connections, 77);
    reload(t, ONE);
    assert_int_equal(t->w.max_connections, 77);
    m = (struct message){.type = MSG_LOG_LEVEL, .arg = LOG_ERROR};
    assert_int_equal(sim_tell(t, &m, NULL), UINT32_MAX);
    assert_int_equal(log_get_level(), LOG_ERROR);
    log_set_level(before);
    sim_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listener_removed),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_kernel_queue),
        cmocka_unit_test(test_mode_changed),
        cmocka_unit_test(test_frontend_renamed),
        cmocka_unit_test(test_accept_proxy_changed),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_a_client_that_was_busy_a_moment_ago),
        cmocka_unit_test(test_sockets_of_a_refused_one),
        cmocka_unit_test(test_draining),
        cmocka_unit_test(test_process_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
