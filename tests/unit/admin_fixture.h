// SPDX-License-Identifier: MIT
// The admin API over a real board, real server states and a channel whose other end is the test.
#ifndef EVLB_TEST_ADMIN_FIXTURE_H
#define EVLB_TEST_ADMIN_FIXTURE_H

#include "conf_test.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/admin_api.h"

#define WORKERS 2
#define NOW_MS 10000

struct fixture {
    struct loop loop;
    struct config *config;
    struct board *board;
    struct process_table *table;
    int wake_fds[WORKERS];
    int channel[2]; // [0]: control's end, [1]: the supervisor's
    struct admin_view view;
    struct admin_call call;
    struct buf body;      // of the answer
    char last_line[1200]; // of the log
    int resumed;          // how often the supervisor's answer came through
    uint16_t result;      // of that
};

static inline void keep_last_line(void *ctx, const char *line, size_t len)
{
    (void)str_copy((struct str){line, len}, ((struct fixture *)ctx)->last_line, 1200);
}

static inline void on_change(void *ctx, const struct backend *b, const struct server *s,
                             const char *sentence)
{
    (void)ctx, (void)b, (void)s, (void)sentence;
}

static inline void make_board(struct fixture *f)
{
    const struct board_dim dim = {.workers = WORKERS, .servers = 8, .backends = 4, .frontends = 4};
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, 64, board_bytes(&dim)), 0);
    memset(memory, 0, board_bytes(&dim));
    f->board = board_init(memory, &dim);
    for (uint32_t i = 0; i < f->config->n_backends; i++)
        failover_begin(&f->config->backends[i], f->board);
    f->table = xcalloc(1, process_table_bytes(WORKERS));
    f->table->workers = WORKERS;
    f->table->supervisor_pid = 77;
    f->table->max_connections = 1000;
    f->table->started_ms = 4000;
}

static inline struct fixture *open_fixture(const char *text)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->config = load_fine(text);
    make_board(f);
    for (int i = 0; i < WORKERS; i++)
        f->wake_fds[i] = eventfd(0, EFD_NONBLOCK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->channel), 0);
    loop_init(&f->loop, NULL);
    f->loop.now_ms = NOW_MS;
    f->view = (struct admin_view){
        .config = f->config,
        .generation = 3,
        .board = f->board,
        .table = f->table,
        .servers = servers_new(&f->loop, f->board, f->config, f->wake_fds, on_change, NULL),
        .events = events_new(5000),
        .asks = asks_new(f->channel[0]),
        .now_ms = NOW_MS,
    };
    log_set_sink(keep_last_line, f);
    return f;
}

static inline void close_fixture(struct fixture *f)
{
    log_set_sink(NULL, NULL);
    asks_forget(&f->call.waiter);
    servers_free(f->view.servers);
    asks_free(f->view.asks);
    events_free(f->view.events);
    for (int i = 0; i < WORKERS; i++) {
        (void)close(f->wake_fds[i]);
        (void)close(f->channel[i]);
    }
    buf_release(&f->body);
    arena_free(f->config->arena);
    free(f->board);
    free(f->table);
    free(f);
}

static inline void end_body(struct fixture *f)
{
    assert_true(buf_append(&f->body, "", 1)); // NUL-terminated for the test
    f->body.tail--;
}

static inline void on_answered(struct asks_waiter *w, const struct ask_answer *answer)
{
    struct fixture *f = container_of(w, struct fixture, call.waiter);
    f->resumed++;
    f->result = admin_api_resume(&f->view, &f->call, answer);
    if (f->result != ADMIN_LATER)
        end_body(f);
}

// Asks, and returns the result; the body is then a NUL-terminated text at buf_head(&f->body).
static inline uint16_t ask(struct fixture *f, const char *method, const char *target,
                           const char *body)
{
    asks_forget(&f->call.waiter);
    buf_release(&f->body);
    struct str query = str_of(target), path = str_cut(&query, '?');
    f->call = (struct admin_call){.method = str_of(method),
                                  .path = path,
                                  .query = query,
                                  .body = str_of(body),
                                  .pid = 4711,
                                  .uid = 1000,
                                  .out = &f->body,
                                  .waiter.answered = on_answered};
    f->last_line[0] = '\0';
    f->resumed = 0;
    uint16_t result = admin_api_answer(&f->view, &f->call);
    if (result != ADMIN_LATER)
        end_body(f);
    return result;
}

static inline void body_has(struct fixture *f, const char *part)
{
    if (strstr(buf_head(&f->body), part) == NULL)
        fail_msg("no %s in %s", part, buf_head(&f->body));
}

static inline void get_has(struct fixture *f, const char *target, const char *part)
{
    assert_int_equal(ask(f, "GET", target, NULL), 200);
    body_has(f, part);
}

static inline void line_has(struct fixture *f, const char *part)
{
    if (strstr(f->last_line, part) == NULL)
        fail_msg("no %s in the log line: %s", part, f->last_line);
}

// What the supervisor was asked, with the text.
static inline struct message heard(struct fixture *f, char *text, size_t size)
{
    struct message m;
    int fds[CHANNEL_FDS_MAX];
    struct str content = STR("");
    assert_int_equal(channel_receive(f->channel[1], &m, fds), 1);
    if (m.n_fds > 0)
        assert_true(channel_text_map(fds[0], &content));
    (void)str_copy(content, text, size);
    channel_text_done(content);
    return m;
}

static inline void answer_with(struct fixture *f, struct message m, const char *text)
{
    int fds[CHANNEL_FDS_MAX];
    m.type = MSG_ANSWER;
    m.n_fds = text != NULL;
    if (text != NULL)
        fds[0] = channel_text(str_of(text));
    asks_answer(f->view.asks, &m, fds);
}

#endif
