// SPDX-License-Identifier: MIT
// Giving out the board's slots. Runs in the supervisor: at the start before the first fork, then
// once per reload (process/reload.c).
//
// Each kind of object has a table. An entry of it is
//
//   free ----> taken by an owner of the newest generation ----> leaving since generation N
//     ^                      ^--------- it is back ---------------'        |
//     '----------- all use N or newer, and its gauge is zero -------------'
//
// Invariants: an owner is found by its key (the texts that make it the same object); every assign
// builds keys and maps anew in an arena of their own, so that nothing grows over reloads; a slot
// is prepared before any configuration that names it leaves this process.
#include "process/slots.h"

#include "core/failover.h"

// Room for reloads that add things; a board's pages cost nothing until somebody uses them.
#define ROOM_FACTOR 4u
#define ROOM_SERVERS 16384u
#define ROOM_OTHERS 4096u // backends, frontends

struct owner {
    struct str key; // p NULL: free
    uint32_t left;  // the first generation that does not name it; 0: the newest does
    bool fresh;     // got the slot in the assign that is going on
};

struct table {
    const char *what; // "servers"
    struct owner *owners;
    uint32_t room;
    uint32_t used; // entries from here on have never had an owner
    struct map by_key;
};

struct slots {
    struct board *board;
    struct arena *arena; // of the keys and maps
    struct table servers, backends, frontends;
    uint32_t released; // nobody uses an older generation
};

// What an assign wants of one table, in the order of the configuration.
struct wish {
    struct table *table;
    uint32_t n, cap;
    struct wanted {
        struct str key;
        uint32_t *index; // where its slot is to be written
    } * items;
};

struct board_dim slots_dim(const struct config *config, uint32_t workers)
{
    return (struct board_dim){.workers = workers,
                              .servers = MAX_OF(ROOM_FACTOR * config->n_servers, ROOM_SERVERS),
                              .backends = MAX_OF(ROOM_FACTOR * config->n_backends, ROOM_OTHERS),
                              .frontends = MAX_OF(ROOM_FACTOR * config->n_frontends, ROOM_OTHERS)};
}

static struct table new_table(const char *what, uint32_t room)
{
    return (struct table){
        .what = what, .owners = xcalloc(room + 1, sizeof(struct owner)), .room = room};
}

struct slots *slots_new(struct board *board)
{
    struct slots *s = xcalloc(1, sizeof(*s));
    s->board = board;
    s->arena = arena_new();
    s->servers = new_table("servers", board->dim.servers);
    s->backends = new_table("backends", board->dim.backends);
    s->frontends = new_table("frontends", board->dim.frontends);
    return s;
}

void slots_free(struct slots *s)
{
    if (s == NULL)
        return;
    free(s->servers.owners);
    free(s->backends.owners);
    free(s->frontends.owners);
    arena_free(s->arena);
    free(s);
}

void slots_released(struct slots *s, uint32_t oldest)
{
    s->released = MAX_OF(s->released, oldest);
}

// ---- keys -------------------------------------------------------------------------------------

// Names hold no line breaks, so that keys of different parts differ.
static struct str server_key(const struct server *s, struct arena *a)
{
    char address[ADDR_TEXT] = "";
    if (s->host.len == 0)
        (void)addr_format(&s->addr, address);
    return str_of(arena_printf(a, "%.*s\n%.*s\n%.*s\n%s\n%u\n%u", STR_FMT(s->backend->name),
                               STR_FMT(s->name), STR_FMT(s->host), address, s->port, s->place));
}

static struct wish new_wish(struct table *t, uint32_t n, struct arena *a)
{
    struct wish w = {.table = t, .cap = n};
    w.items = arena_alloc(a, (n + 1) * sizeof(*w.items));
    return w;
}

static void want(struct wish *w, struct str key, uint32_t *index)
{
    lb_assert(w->n < w->cap);
    w->items[w->n++] = (struct wanted){key, index};
}

static void fill_wishes(struct slots *s, struct config *c, struct wish wishes[3], struct arena *a)
{
    wishes[0] = new_wish(&s->servers, c->n_servers, a);
    for (uint32_t i = 0; i < c->n_servers; i++)
        want(&wishes[0], server_key(&c->servers[i], a), &c->servers[i].index);
    wishes[1] = new_wish(&s->backends, c->n_backends, a);
    for (uint32_t i = 0; i < c->n_backends; i++)
        want(&wishes[1], c->backends[i].name, &c->backends[i].index);
    wishes[2] = new_wish(&s->frontends, c->n_frontends, a);
    for (uint32_t i = 0; i < c->n_frontends; i++)
        want(&wishes[2], c->frontends[i].name, &c->frontends[i].index);
}

// ---- tables -----------------------------------------------------------------------------------

static uint32_t gauge_of(const struct slots *s, const struct table *t, uint32_t slot)
{
    const struct board *b = s->board;
    if (t == &s->servers)
        return board_total(b, board_server_slot(slot));
    if (t == &s->backends)
        return board_total(b, board_queue_slot(b, slot));
    return board_total(b, board_frontend_slot(b, slot));
}

// Frees what nobody uses any more, and moves the keys of the others to `to` with a map of them.
static void renew(struct slots *s, struct table *t, struct arena *to)
{
    t->by_key = (struct map){.arena = to};
    for (uint32_t i = 0; i < t->used; i++) {
        struct owner *o = &t->owners[i];
        o->fresh = false;
        if (o->left != 0 && o->left <= s->released && gauge_of(s, t, i) == 0)
            *o = (struct owner){0};
        if (o->key.p == NULL)
            continue;
        o->key = arena_str(to, o->key);
        map_put(&t->by_key, o->key, o);
    }
}

static bool has_room(const struct wish *w, const char **why)
{
    const struct table *t = w->table;
    uint32_t needed = 0;
    for (uint32_t i = 0; i < w->n; i++)
        needed += map_get(&t->by_key, w->items[i].key) == NULL;
    if (needed + t->by_key.count <= t->room)
        return true;
    *why = t->what;
    return false;
}

// The caller has seen that there is room.
static struct owner *take_free(struct table *t, uint32_t *from)
{
    while (t->owners[*from].key.p != NULL)
        ++*from;
    lb_assert(*from < t->room);
    t->used = MAX_OF(t->used, *from + 1);
    return &t->owners[*from];
}

static void give_out(struct slots *s, const struct wish *w, uint32_t generation)
{
    struct table *t = w->table;
    uint32_t from = 0;
    for (uint32_t i = 0; i < t->used; i++) {
        if (t->owners[i].key.p != NULL && t->owners[i].left == 0)
            t->owners[i].left = generation;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        struct owner *o = map_get(&t->by_key, w->items[i].key);
        if (o == NULL) {
            o = take_free(t, &from);
            *o = (struct owner){.key = arena_str(s->arena, w->items[i].key), .fresh = true};
            map_put(&t->by_key, o->key, o);
        }
        o->left = 0;
        *w->items[i].index = (uint32_t)(o - t->owners);
    }
}

// ---- what the board says of new ones ----------------------------------------------------------

// A new server among old ones: it works at once only where others of its tier do, so that a backend
// that is active-passive never has two until control has looked.
static bool begins_working(const struct slots *s, const struct server *server)
{
    const struct backend *b = server->backend;
    if (b->failover == FAILOVER_ACTIVE_PASSIVE)
        return false;
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *other = &b->servers[i];
        if (!s->servers.owners[other->index].fresh && other->tier == server->tier &&
            atomic_load(&s->board->server[other->index].standby) == 0)
            return true;
    }
    return false;
}

static void prepare_servers(const struct slots *s, const struct backend *b)
{
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < b->n_servers; i++) {
        if (!s->servers.owners[b->servers[i].index].fresh)
            continue;
        board_reset_server(s->board, b->servers[i].index);
        fresh++;
    }
    if (fresh == b->n_servers) {
        failover_begin(b, s->board);
        return;
    }
    for (uint32_t i = 0; i < b->n_servers; i++) {
        const struct server *server = &b->servers[i];
        if (s->servers.owners[server->index].fresh && !begins_working(s, server))
            atomic_store(&s->board->server[server->index].standby, 1);
    }
}

static void prepare(const struct slots *s, const struct config *c)
{
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        if (s->frontends.owners[c->frontends[i].index].fresh)
            board_reset_frontend(s->board, c->frontends[i].index);
    }
    for (uint32_t i = 0; i < c->n_backends; i++) {
        if (s->backends.owners[c->backends[i].index].fresh)
            board_reset_backend(s->board, c->backends[i].index);
        prepare_servers(s, &c->backends[i]);
    }
}

// ---- an assign --------------------------------------------------------------------------------

bool slots_assign(struct slots *s, struct config *config, uint32_t generation, const char **why)
{
    struct arena *keys = arena_new(), *scratch = arena_new();
    struct wish wishes[3];
    bool fits = true;
    fill_wishes(s, config, wishes, scratch);
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++)
        renew(s, wishes[i].table, keys);
    arena_free(s->arena);
    s->arena = keys;
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++)
        fits = fits && has_room(&wishes[i], why);
    for (size_t i = 0; i < ARRAY_LEN(wishes) && fits; i++)
        give_out(s, &wishes[i], generation);
    if (fits)
        prepare(s, config);
    arena_free(scratch);
    return fits;
}
