// SPDX-License-Identifier: MIT
// A list of the sessions of a worker, as JSON. Runs in workers, asked over the channel a few times
// a minute at most (worker.c); reads and changes nothing. What is asked for is bounded, so that a
// worker with many sessions is not held up: 5,000 of them take a few milliseconds.
#include "proxy/sessions_dump.h"

#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "proxy/handshake.h"
#include "proxy/http_proxy.h"
#include "proxy/session.h"
#include "proxy/tcp_proxy.h"

static void describe(const struct session *s, struct session_work *work)
{
    *work = (struct session_work){
        .doing = s->lingering        ? "closing"
                 : s->handshake != 0 ? handshake_doing(s)
                                     : "idle",
        .begin_ms = s->since_ms,
    };
    if (s->work == NULL)
        return;
    if (s->layer4)
        tcp_describe(s, work);
    else
        http_describe(s, work);
}

static void put_id(const struct session *s, struct json *j)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%u-%d", s->w->id, s->client.watcher.fd);
    json_text(j, "id", str_of(text));
}

static void put_client(const struct session *s, struct json *j)
{
    char ip[ADDR_TEXT], text[ADDR_TEXT + 16];
    size_t n = ip_format(&s->peer, ip); // a mapped IPv4 address as IPv4
    bool v6 = memchr(ip, ':', n) != NULL;
    (void)snprintf(text, sizeof(text), v6 ? "[%s]:%u" : "%s:%u", ip, (unsigned)ip_port(&s->peer));
    json_text(j, "client", str_of(text));
}

static void put_name(struct json *j, const char *key, const struct str *name)
{
    if (name != NULL)
        json_text(j, key, *name);
    else
        json_null(j, key);
}

static void put_session(const struct session *s, struct json *j)
{
    struct session_work work;
    uint64_t now_ms = s->w->loop.now_ms;
    describe(s, &work);
    json_object(j, NULL);
    put_id(s, j);
    put_client(s, j);
    put_name(j, "frontend", &s->listener->frontend->name);
    put_name(j, "backend", work.backend != NULL ? &work.backend->name : NULL);
    put_name(j, "server", work.server != NULL ? &work.server->name : NULL);
    json_text(j, "doing", str_of(work.doing));
    json_u64(j, "age_ms", now_ms > work.begin_ms ? now_ms - work.begin_ms : 0);
    json_u64(j, "requests", s->requests);
    json_u64(j, "bytes_received", work.bytes_received);
    json_u64(j, "bytes_sent", work.bytes_sent);
    json_object_end(j);
}

bool sessions_dump(struct worker *w, uint32_t most, struct buf *out)
{
    struct json j = {.out = out};
    uint32_t n = 0;
    LIST_EACH(node, &w->sessions)
    {
        if (n++ == most)
            break;
        put_session(list_entry(node, struct session, node), &j);
    }
    return !j.failed;
}

void sessions_answer(struct worker *w, const struct message *query, int channel_fd)
{
    struct buf out = {0};
    struct message m = {
        .type = MSG_ANSWER, .request = query->request, .status = 1, .value = w->n_sessions};
    int fd = -1;
    if (sessions_dump(w, query->value, &out))
        fd = channel_text((struct str){buf_len(&out) > 0 ? buf_head(&out) : "", buf_len(&out)});
    buf_release(&out);
    m.n_fds = fd >= 0;
    m.status = fd < 0;
    int result = channel_send(channel_fd, &m, &fd);
    if (result != 0)
        log_debug("cannot answer the supervisor: %s", strerror(-result));
    if (fd >= 0)
        (void)close(fd);
}
