// SPDX-License-Identifier: MIT
// The supervisor of a simulation: gives out slots, records a configuration as a bundle and sends it
// over a real channel. Called by sim_new() for the slots, and by tests that reload.
// Invariants: an object keeps its slot while it has its name (a server: its address, too), also
// when it comes back; no slot is given to another.
#include <sys/socket.h>
#include <unistd.h>

#include "conf/bundle.h"
#include "io/channel.h"
#include "proxy/generation.h"
#include "sim.h"

// ---- arenas: the linker sends every call here (--wrap in tests/CMakeLists.txt)

struct arena *__wrap_arena_new(void);
struct arena *__real_arena_new(void);
void __wrap_arena_free(struct arena *a);
void __real_arena_free(struct arena *a);

static int arenas;

struct arena *__wrap_arena_new(void)
{
    arenas++;
    return __real_arena_new();
}

void __wrap_arena_free(struct arena *a)
{
    arenas -= a != NULL;
    __real_arena_free(a);
}

int sim_arenas(void)
{
    return arenas;
}

// ---- slots

enum { KIND_SERVER, KIND_BACKEND, KIND_FRONTEND, KIND_LISTEN };

static uint32_t slot_of(struct sim *t, int kind, const char *name)
{
    struct sim_slots *s = &t->slots[kind];
    for (uint32_t i = 0; i < s->n; i++) {
        if (strcmp(s->name[i], name) == 0)
            return i;
    }
    assert_true(s->n < ARRAY_LEN(s->name));
    (void)snprintf(s->name[s->n], sizeof(s->name[0]), "%s", name);
    return s->n++;
}

void sim_assign_slots(struct sim *t, struct config *c)
{
    char name[ADDR_TEXT + 64], address[ADDR_TEXT];
    for (uint32_t i = 0; i < c->n_servers; i++) {
        struct server *s = &c->servers[i];
        (void)addr_format(&s->addr, address);
        (void)snprintf(name, sizeof(name), "%.20s/%.20s %s", s->backend->name.p, s->name.p,
                       address);
        s->index = slot_of(t, KIND_SERVER, name);
    }
    for (uint32_t i = 0; i < c->n_backends; i++)
        c->backends[i].index = slot_of(t, KIND_BACKEND, c->backends[i].name.p);
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        struct frontend *f = &c->frontends[i];
        f->index = slot_of(t, KIND_FRONTEND, f->name.p);
        for (uint32_t k = 0; k < f->n_listens; k++) {
            struct listen *l = (struct listen *)(uintptr_t)&f->listens[k];
            (void)addr_format(&l->addr, address);
            l->number = slot_of(t, KIND_LISTEN, address);
        }
    }
}

// ---- the channel

void sim_channel(struct sim *t)
{
    int ends[2];
    if (t->channel >= 0)
        return;
    assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
                       errno);
    t->channel = ends[0];
    t->w.channel.fd = ends[1];
}

void sim_close_channel(struct sim *t)
{
    if (t->channel < 0)
        return;
    (void)close(t->channel);
    (void)close(t->w.channel.fd);
    t->channel = t->w.channel.fd = -1;
}

// Lets the worker read what was sent, and reads what it says. Returns the status of its TAKEN;
// UINT32_MAX: it said none.
static uint32_t talk(struct sim *t)
{
    struct message m;
    int fds[CHANNEL_FDS_MAX], r;
    uint32_t status = UINT32_MAX;
    t->w.channel.cb(NULL, &t->w.channel, EV_READ);
    loop_end_turn(&t->w.loop);
    while ((r = channel_receive(t->channel, &m, fds)) > 0) {
        assert_int_equal(m.n_fds, 0);
        if (m.type == MSG_TAKEN) {
            assert_int_equal(m.arg, t->generation);
            status = m.status;
        } else if (m.type == MSG_RELEASED) {
            assert_true(m.arg >= t->released);
            t->released = m.arg;
        }
    }
    assert_int_equal(r, 0);
    return status;
}

uint32_t sim_released(struct sim *t)
{
    sim_run(t);
    (void)talk(t);
    assert_int_equal(atomic_load(&t->board->generation[0]), t->released);
    return t->released;
}

uint32_t sim_tell(struct sim *t, const struct message *m, const int *fds)
{
    sim_channel(t);
    assert_int_equal(channel_send(t->channel, m, fds), 0);
    return talk(t);
}

uint32_t sim_asked(struct sim *t, char text[256])
{
    struct message m;
    int fds[CHANNEL_FDS_MAX], r = channel_receive(t->channel, &m, fds);
    struct str question;
    if (r == 0)
        return 0;
    assert_int_equal(r, 1);
    assert_int_equal(m.type, MSG_CHALLENGE);
    assert_int_equal(m.n_fds, 1);
    assert_true(channel_text_map(fds[0], &question));
    assert_in_range(question.len, 1, 255);
    memcpy(text, question.p, question.len);
    text[question.len] = '\0';
    channel_text_done(question);
    return m.request;
}

// A socket that listens, somewhere.
int sim_listen(void)
{
    const struct sockaddr_un any = {.sun_family = AF_UNIX}; // the kernel finds a name
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_return_code(fd, errno);
    assert_return_code(bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)), errno);
    assert_return_code(listen(fd, 16), errno);
    return fd;
}

// Sends a socket for every number that is not configured now.
static void send_sockets(struct sim *t, const struct config *c)
{
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        const struct frontend *f = &c->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++) {
            struct message m = {.type = MSG_LISTENERS, .n_fds = 1, .id = {f->listens[k].number}};
            if (sim_listener(t, f->listens[k].number) != NULL)
                continue;
            int fd = sim_listen();
            assert_int_equal(channel_send(t->channel, &m, &fd), 0);
            (void)close(fd);
        }
    }
}

int sim_bundle(struct sim *t, const char *yaml, struct config **config)
{
    char text[2048];
    struct buf bytes = {0};
    struct findings findings;
    struct bundle *bundle = bundle_new();
    struct config_source from = sim_source(yaml, text, sizeof(text));
    struct config_source recording = bundle_record(bundle, &from);
    findings_init(&findings);
    *config = config_load(&recording, &findings);
    if (*config == NULL)
        findings_print(&findings, stderr, FINDINGS_TEXT, false);
    assert_non_null(*config);
    findings_free(&findings);
    sim_assign_slots(t, *config);
    assert_true(bundle_write(bundle, &from, *config, BUNDLE_FOR_WORKERS, &bytes));
    bundle_free(bundle);
    int fd = channel_text((struct str){buf_head(&bytes), buf_len(&bytes)});
    assert_return_code(fd, -fd);
    buf_release(&bytes);
    return fd;
}

uint32_t sim_reload(struct sim *t, const char *yaml)
{
    uint64_t mallocs = sim_mallocs(0); // here they do not count
    struct config *c;
    sim_channel(t);
    int fd = sim_bundle(t, yaml, &c);
    send_sockets(t, c);
    arena_free(c->arena);
    const struct message m = {.type = MSG_CONFIG, .arg = ++t->generation, .n_fds = 1};
    assert_int_equal(channel_send(t->channel, &m, &fd), 0);
    (void)close(fd);
    uint32_t status = talk(t);
    (void)sim_mallocs(mallocs);
    return status;
}

int sim_generations(const struct sim *t)
{
    int n = 0;
    for (const struct generation *g = t->w.now; g != NULL; g = g->older)
        n++;
    return n;
}
