// SPDX-License-Identifier: MIT
// The admin socket's clients. Runs in control. One request per connection: read the head, answer,
// close; the API is asked a few times a second at most, so nothing here is tuned.
//
//   accept -> READ (head within 5 s) -> WRITE (answer taken within 10 s) -> closed
//
// Invariants: at most CLIENTS_MAX clients (further ones wait in the backlog), each with a bounded
// head; no call blocks; a request body is never read. Who may connect is decided by the mode of
// the socket file; who did is known from SO_PEERCRED.
#include "control/admin.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "io/sock.h"
#include "proto/h1_head.h"

#define CLIENTS_MAX 32
#define HEAD_BYTES 8192
#define READ_MS 5000
#define WRITE_MS 10000

struct client {
    struct admin *admin;
    struct list node; // in admin->clients
    struct ev_io io;
    struct timer deadline;
    struct ucred peer;
    struct h1_scan scan;
    struct buf in, out;
};

struct admin {
    struct loop *loop;
    struct admin_view *view;
    struct ev_io listener;
    struct timer rest; // listener is off because accept() found no descriptor
    struct list clients;
    uint32_t n_clients;
    struct http_head head; // of the request being answered
};

static void on_acceptable(struct ev_loop *ev, ev_io *watcher, int events);
static void on_client(struct ev_loop *ev, ev_io *watcher, int events);

// ---- clients ----------------------------------------------------------------------------------

static void client_close(struct client *c)
{
    struct admin *a = c->admin;
    ev_io_stop(a->loop->ev, &c->io);
    timer_clear(&c->deadline);
    (void)close(c->io.fd);
    buf_release(&c->in);
    buf_release(&c->out);
    list_remove(&c->node);
    free(c);
    if (a->n_clients-- == CLIENTS_MAX)
        ev_io_start(a->loop->ev, &a->listener);
}

static void on_deadline(struct timer *t)
{
    struct client *c = container_of(t, struct client, deadline);
    log_debug("an admin client was too slow: pid %d", (int)c->peer.pid);
    client_close(c);
}

static bool client_open(struct admin *a, int fd)
{
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return false;
    socklen_t len = sizeof(c->peer);
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &len);
    c->admin = a;
    list_append(&a->clients, &c->node);
    a->n_clients++;
    timer_init(&c->deadline, on_deadline);
    timer_set(&a->loop->wheel, &c->deadline, a->loop->now_ms + READ_MS);
    ev_io_init(&c->io, on_client, fd, EV_READ);
    c->io.data = c;
    ev_io_start(a->loop->ev, &c->io);
    return true;
}

// ---- one request ------------------------------------------------------------------------------

// Puts the head in front of the body.
static bool put_answer(struct client *c, uint16_t status, const char *allow, const struct buf *body)
{
    static const struct {
        uint16_t status;
        const char *reason;
    } reasons[] = {{200, "OK"}, {404, "Not Found"}, {405, "Method Not Allowed"}};
    const char *reason = "Bad Request";
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            reason = reasons[i].reason;
    }
    char head[320];
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %u\r\n"
                     "Cache-Control: no-store\r\n%s%s%sConnection: close\r\n\r\n",
                     status, reason, buf_len(body), allow != NULL ? "Allow: " : "",
                     allow != NULL ? allow : "", allow != NULL ? "\r\n" : "");
    lb_assert(n > 0 && (size_t)n < sizeof(head));
    bool with_body = c->admin->head.method != HTTP_HEAD;
    return buf_append(&c->out, head, (size_t)n) &&
           (!with_body || buf_append(&c->out, buf_head(body), buf_len(body)));
}

static uint16_t answer_request(struct client *c, struct buf *body, const char **allow)
{
    struct admin *a = c->admin;
    const struct http_head *h = &a->head;
    struct str rest = h->path;
    struct admin_request request = {.method = h->method_text, .path = str_cut(&rest, '?')};
    log_debug("admin: %.*s %.*s by pid %d, uid %d", STR_FMT(request.method), STR_FMT(request.path),
              (int)c->peer.pid, (int)c->peer.uid);
    a->view->now_ms = clock_monotonic_ms();
    return admin_api_answer(a->view, &request, body, allow);
}

static uint16_t refuse(struct admin *a, enum http_error error, struct buf *body)
{
    const struct http_error_info *info = http_error_info(error);
    a->head.method = HTTP_GET; // what was read of it means nothing
    return admin_api_error(body, 400, info->name, str_of(info->sentence)) ? 400 : 0;
}

// Makes the answer to a head that is complete or bad and turns to writing. False: out of memory.
static bool make_answer(struct client *c, enum h1_result result, enum http_error error)
{
    struct buf body = {0};
    const char *allow = NULL;
    uint16_t status =
        result == H1_DONE ? answer_request(c, &body, &allow) : refuse(c->admin, error, &body);
    bool made = status != 0 && put_answer(c, status, allow, &body);
    buf_release(&body);
    if (!made)
        return false;
    ev_io_stop(c->admin->loop->ev, &c->io);
    ev_io_set(&c->io, c->io.fd, EV_WRITE);
    ev_io_start(c->admin->loop->ev, &c->io);
    timer_set(&c->admin->loop->wheel, &c->deadline, c->admin->loop->now_ms + WRITE_MS);
    return true;
}

// False: this client is done with.
static bool client_read(struct client *c)
{
    static const struct h1_limits limits = {
        .head_bytes = HEAD_BYTES, .fields = 64, .uri_bytes = 1024};
    enum http_error error = HTTP_OK;
    if (!buf_attach(&c->in))
        return false;
    ssize_t n = recv(c->io.fd, buf_tail(&c->in), buf_room(&c->in), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return false;
    c->in.tail += (uint32_t)n;
    enum h1_result result = h1_parse_request(&c->scan, buf_head(&c->in), buf_len(&c->in), &limits,
                                             &c->admin->head, &error);
    return result == H1_MORE ? true : make_answer(c, result, error);
}

static bool client_write(struct client *c)
{
    ssize_t n = send(c->io.fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    buf_consume(&c->out, (uint32_t)n);
    return buf_len(&c->out) > 0;
}

static void on_client(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    struct client *c = watcher->data;
    bool stays = events & EV_WRITE ? client_write(c) : client_read(c);
    if (!stays)
        client_close(c);
}

// ---- the listener -----------------------------------------------------------------------------

static void on_rested(struct timer *t)
{
    struct admin *a = container_of(t, struct admin, rest);
    ev_io_start(a->loop->ev, &a->listener);
}

static void on_acceptable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)events;
    struct admin *a = watcher->data;
    union ip_addr peer;
    int fd = sock_accept(watcher->fd, &peer);
    if (fd < 0) {
        if (sock_failure(-fd) == SOCK_EXHAUSTED) {
            ev_io_stop(ev, watcher);
            timer_set(&a->loop->wheel, &a->rest, a->loop->now_ms + 100);
        }
        return;
    }
    if (!client_open(a, fd))
        (void)close(fd);
    else if (a->n_clients == CLIENTS_MAX)
        ev_io_stop(ev, watcher);
}

struct admin *admin_start(struct loop *loop, int listen_fd, struct admin_view *view)
{
    struct admin *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->loop = loop;
    a->view = view;
    list_init(&a->clients);
    timer_init(&a->rest, on_rested);
    ev_io_init(&a->listener, on_acceptable, listen_fd, EV_READ);
    a->listener.data = a;
    ev_io_start(loop->ev, &a->listener);
    return a;
}

void admin_stop(struct admin *a)
{
    if (a == NULL)
        return;
    LIST_EACH(node, &a->clients)
    client_close(list_entry(node, struct client, node));
    ev_io_stop(a->loop->ev, &a->listener);
    timer_clear(&a->rest);
    free(a);
}
