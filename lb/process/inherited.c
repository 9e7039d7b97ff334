// SPDX-License-Identifier: MIT
// The text that an old supervisor leaves to a new one. Written by handover.c; read by `evlb run`
// before it loads its files (the overlay belongs to them), applied by the supervisor before its
// first fork.
//
// Times are CLOCK_MONOTONIC, which both processes share. Words of the board are written as their
// numbers: another version of the format than ours is not read.
// Invariants: a line that is not understood, and one about what is not configured any more, changes
// nothing; a weight that the file has changed meanwhile is the file's.
#include "process/inherited.h"

#include <stdio.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/map.h"
#include "conf/address.h"
#include "conf/words.h"
#include "io/channel.h"

#define FIRST_LINE "evlb 1"
#define TICKET "ticket"
#define WEIGHT_WORDS 257u // 1 + 256, see board.h

// Words of a server that travel as they are.
static const struct word {
    struct str name;
    size_t offset;
    uint64_t most;
    bool wide; // 64 bits
} words[] = {
    {{"state", 5}, offsetof(struct board_server, state), SERVER_STATES - 1, false},
    {{"standby", 7}, offsetof(struct board_server, standby), 1, false},
    {{"weight", 6}, offsetof(struct board_server, weight), WEIGHT_WORDS, false},
    {{"withheld", 8}, offsetof(struct board_server, withheld), 99, false},
    {{"since", 5}, offsetof(struct board_server, since_ms), INT64_MAX, true},
    {{"checked", 7}, offsetof(struct board_server, checked), CHECKED_DOWN, false},
    {{"admin", 5}, offsetof(struct board_server, admin), ADMIN_MAINT, false},
    {{"until", 5}, offsetof(struct board_server, admin_until_ms), INT64_MAX, true},
};

static _Atomic uint32_t *narrow(struct board_server *w, const struct word *word)
{
    return (void *)((char *)w + word->offset);
}

static _Atomic uint64_t *wide(struct board_server *w, const struct word *word)
{
    return (void *)((char *)w + word->offset);
}

// ---- writing ----------------------------------------------------------------------------------

static bool put(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;

static bool put(struct buf *out, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    return n >= 0 && buf_append(out, line, MIN_OF((size_t)n, sizeof(line) - 1));
}

static bool put_overlay(struct str lines, struct buf *out)
{
    bool fine = true;
    while (lines.p != NULL) {
        struct str line = str_cut(&lines, '\n');
        fine = fine && (line.len == 0 || put(out, "overlay %.*s\n", STR_FMT(line)));
    }
    return fine;
}

// What identifies a server in both processes.
static const char *identity(const struct server *s, struct arena *a)
{
    return arena_printf(a, "%.*s/%.*s %s", STR_FMT(s->backend->name), STR_FMT(s->name),
                        server_address_text(a, s));
}

static bool put_address(const struct board *board, uint32_t slot, struct buf *out)
{
    struct addr addr;
    char text[ADDR_TEXT] = "none";
    if (atomic_load(&board->server[slot].addr_version) == 0)
        return true;
    board_addr_read(board, slot, &addr);
    if (addr.len > 0)
        (void)addr_format(&addr, text);
    return put(out, " address=%s", text);
}

// Last in its line, as it may hold anything but a line break.
static bool put_reason(const char *reason, struct buf *out)
{
    char text[BOARD_REASON];
    (void)str_copy(str_of(reason), text, sizeof(text));
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ')
            *p = ' ';
    }
    return text[0] == '\0' || put(out, " reason=%s", text);
}

static bool put_server(const struct server *s, const struct board *board, struct arena *a,
                       struct buf *out)
{
    struct board_server *w = &board->server[s->index];
    bool fine = put(out, "server %s weight %u:", identity(s, a), s->weight);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const struct word *word = &words[i];
        uint64_t value = word->wide ? atomic_load(wide(w, word)) : atomic_load(narrow(w, word));
        fine = fine && put(out, " %s=%llu", word->name.p, (unsigned long long)value);
    }
    return fine && put_address(board, s->index, out) && put_reason(w->admin_reason, out) &&
           put(out, "\n");
}

static bool put_tickets(const struct tls_tickets *t, struct buf *out)
{
    char text[BASE64_LEN(sizeof(t->keys[0]))];
    bool fine = true;
    for (int i = 0; t != NULL && i < TICKET_KEYS; i++) {
        size_t n = base64_encode(&t->keys[i], sizeof(t->keys[i]), text);
        fine = fine && buf_append(out, TICKET, sizeof(TICKET) - 1) && buf_append(out, " ", 1) &&
               buf_append(out, text, n) && buf_append(out, "\n", 1);
    }
    explicit_bzero(text, sizeof(text));
    return fine;
}

bool inherited_write(const struct config *config, const struct board *board,
                     const struct tls_tickets *tickets, struct buf *out)
{
    struct arena *a = arena_new();
    bool fine =
        put(out, FIRST_LINE "\n") && put_tickets(tickets, out) && put_overlay(config->overlay, out);
    for (uint32_t i = 0; i < config->n_backends && fine; i++) {
        const struct backend *b = &config->backends[i];
        fine = put(out, "backend %.*s switched=%u\n", STR_FMT(b->name),
                   atomic_load(&board->cursor[b->index].switched));
    }
    for (uint32_t i = 0; i < config->n_servers && fine; i++)
        fine = put_server(&config->servers[i], board, a, out);
    arena_free(a);
    return fine;
}

// ---- reading ----------------------------------------------------------------------------------

struct str inherited_read(void)
{
    const char *number = getenv(INHERITED_FD);
    uint64_t fd = 0;
    struct str text, rest;
    if (number == NULL)
        return STR_NONE;
    bool mapped =
        str_to_u64(str_of(number), &fd) && fd <= INT32_MAX && channel_text_map((int)fd, &text);
    (void)unsetenv(INHERITED_FD);
    if (!mapped)
        return STR_NONE;
    rest = text;
    if (str_eq(str_cut(&rest, '\n'), STR(FIRST_LINE)))
        return text;
    log_warning("what the old process leaves is not for this version: states of servers and what "
                "was said at run time are forgotten");
    channel_text_done(text);
    return STR_NONE;
}

// Cuts a word and the space behind it off; true when it is `word`.
static bool takes(struct str *line, struct str word)
{
    struct str rest = *line;
    if (!str_eq(str_cut(&rest, ' '), word) || rest.p == NULL)
        return false;
    *line = rest;
    return true;
}

struct str inherited_overlay(struct str text, struct arena *a)
{
    char *out = arena_alloc(a, text.len + 1);
    size_t n = 0;
    while (text.p != NULL) {
        struct str line = str_cut(&text, '\n');
        if (!takes(&line, STR("overlay")))
            continue;
        memcpy(out + n, line.p, line.len);
        n += line.len;
        out[n++] = '\n';
    }
    return (struct str){out, n};
}

bool inherited_tickets(struct str text, struct ticket_key keys[TICKET_KEYS])
{
    int n = 0;
    while (text.p != NULL && n < TICKET_KEYS) {
        struct str line = str_cut(&text, '\n');
        size_t bytes;
        if (takes(&line, STR(TICKET)) &&
            base64_decode(line, (uint8_t *)&keys[n], sizeof(keys[n]), &bytes) &&
            bytes == sizeof(keys[n]))
            n++;
    }
    return n == TICKET_KEYS;
}

static void set_address(struct board *board, uint32_t slot, struct str text)
{
    struct address address = {.addr.len = 0};
    if (!str_eq(text, STR("none")) &&
        (address_parse_server(text, &address) != ADDRESS_OK || address.addr.len == 0))
        return;
    board_addr_write(board, slot, &address.addr);
}

static void set_word(struct board_server *w, struct str name, struct str text)
{
    uint64_t value;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const struct word *word = &words[i];
        if (!str_eq(name, word->name) || !str_to_u64(text, &value) || value > word->most)
            continue;
        if (word->wide)
            atomic_store(wide(w, word), value);
        else
            atomic_store(narrow(w, word), (uint32_t)value);
    }
}

static void set_server(const struct server *s, struct board *board, struct str line)
{
    struct board_server *w = &board->server[s->index];
    uint64_t configured = UINT64_MAX;
    (void)!str_to_u64(str_cut(&line, ':'), &configured);
    line = str_trim(line);
    while (line.p != NULL) {
        struct str value = str_cut(&line, ' '), name = str_cut(&value, '=');
        if (str_eq(name, STR("reason"))) {
            struct str whole = line.p != NULL ? str_from(value.p, line.p + line.len) : value;
            (void)str_copy(whole, w->admin_reason, sizeof(w->admin_reason));
            return;
        }
        if (str_eq(name, STR("address")))
            set_address(board, s->index, value);
        else if (!str_eq(name, STR("weight")) || configured == s->weight)
            set_word(w, name, value);
    }
}

// A backend of which anything is known goes on with who worked: new servers stand by until control
// has looked at them all.
static void let_new_ones_wait(const struct config *config, const bool *known, struct board *board)
{
    for (uint32_t i = 0; i < config->n_backends; i++) {
        const struct backend *b = &config->backends[i];
        const bool *of_backend = known + (b->servers - config->servers);
        bool any = false;
        for (uint32_t k = 0; k < b->n_servers; k++)
            any = any || of_backend[k];
        for (uint32_t k = 0; k < b->n_servers; k++) {
            if (any && !of_backend[k])
                atomic_store(&board->server[b->servers[k].index].standby, 1);
        }
    }
}

// The next line of a server: NAME ADDRESS weight N: ...
static void apply_server(struct str line, const struct map *servers, const struct config *config,
                         bool *known, struct board *board)
{
    struct str rest = line;
    (void)str_cut(&rest, ' ');
    (void)str_cut(&rest, ' ');
    if (rest.p == NULL)
        return;
    struct server *s = map_get(servers, (struct str){line.p, (size_t)(rest.p - line.p - 1)});
    if (s == NULL || !takes(&rest, STR("weight")))
        return;
    known[s - config->servers] = true;
    set_server(s, board, rest);
}

static void apply_backend(struct str line, const struct config *config, struct board *board)
{
    struct str name = str_cut(&line, ' ');
    for (uint32_t i = 0; i < config->n_backends; i++) {
        const struct backend *b = &config->backends[i];
        if (str_eq(b->name, name))
            atomic_store(&board->cursor[b->index].switched, str_eq(line, STR("switched=1")));
    }
}

void inherited_apply(struct str text, const struct config *config, struct board *board)
{
    struct arena *a = arena_new();
    struct map servers = {.arena = a};
    bool *known = arena_alloc(a, config->n_servers + 1);
    for (uint32_t i = 0; i < config->n_servers; i++)
        map_put(&servers, str_of(identity(&config->servers[i], a)), &config->servers[i]);
    while (text.p != NULL) {
        struct str line = str_cut(&text, '\n');
        if (takes(&line, STR("server")))
            apply_server(line, &servers, config, known, board);
        else if (takes(&line, STR("backend")))
            apply_backend(line, config, board);
    }
    let_new_ones_wait(config, known, board);
    arena_free(a);
}
