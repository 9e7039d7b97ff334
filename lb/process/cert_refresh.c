// SPDX-License-Identifier: MIT
// Loading the configuration in force once more with other certificates. Runs in the supervisor,
// called by reload_load.c.
//
// The load is the usual one, from a source of its own: everything is answered from the recording of
// what is in force, but secrets (certificates, keys, OCSP answers) and their directories come from
// the disk. What cannot be used there is answered from the recording as well:
//
//   load --a pair cannot be used--> both its files are "kept" --> load again
//        --all can be used--------> done
//
// Invariants: the recording in force was checked when it came into force, so a pair that is kept is
// one that can be used; every round keeps at least one file more, so the rounds end.
#include "process/cert_refresh.h"

#include <errno.h>

#include "base/map.h"
#include "io/loop.h"
#include "io/tls.h"
#include "io/tls_tickets.h"
#include "process/certificates.h"

#define ROUNDS_MAX 4

struct kept {
    const char *why;
    bool told; // with its certificate
};

struct refresh {
    struct arena *arena;
    const struct config_source *disk;
    struct config_source recorded;
    struct map kept; // path -> struct kept: it is not read
    struct map old;  // file -> const struct certificate *: in force
    struct map now;  // the same of the new configuration
    struct refreshed *out;
};

// ---- the source -------------------------------------------------------------------------------

static struct kept *keep(struct refresh *r, const char *path, const char *why)
{
    struct kept *k = map_get(&r->kept, str_of(path));
    if (k != NULL)
        return k;
    k = arena_alloc(r->arena, sizeof(*k));
    k->why = arena_strdup(r->arena, str_of(why));
    map_put(&r->kept, str_of(arena_strdup(r->arena, str_of(path))), k);
    return k;
}

static bool is_kept(const struct refresh *r, const char *path)
{
    return map_get(&r->kept, str_of(path)) != NULL;
}

// What cannot be read is as it was before, but that answers about certificates may go.
static int read_recorded(struct refresh *r, const char *path, int error, struct arena *a,
                         struct str *content)
{
    if (error == -ENOENT && str_ends(str_of(path), STR(".ocsp")))
        return error;
    int before = r->recorded.read_secret(r->recorded.ctx, path, a, content);
    if (before != error)
        (void)keep(r, path, strerror(-error));
    return before;
}

static int read_secret(void *ctx, const char *path, struct arena *a, struct str *content)
{
    struct refresh *r = ctx;
    if (is_kept(r, path))
        return r->recorded.read_secret(r->recorded.ctx, path, a, content);
    int error = r->disk->read_secret(r->disk->ctx, path, a, content);
    return error == 0 ? 0 : read_recorded(r, path, error, a, content);
}

// Whether a directory of this pattern has gone away.
static bool directory_is_kept(const struct refresh *r, const char *pattern)
{
    const char *slash = strrchr(pattern, '/');
    return slash != NULL && map_get(&r->kept, str_from(pattern, slash)) != NULL;
}

// Whether the recording knows of no such file.
static bool is_new(const struct refresh *r, const char *path)
{
    struct str content = STR_NONE;
    int before = r->recorded.read_secret(r->recorded.ctx, path, r->arena, &content);
    if (content.len > 0)
        explicit_bzero((void *)(uintptr_t)content.p, content.len);
    return before == -ENOENT;
}

static int find_secrets(void *ctx, const char *pattern, struct arena *a, const char ***paths,
                        size_t *n)
{
    struct refresh *r = ctx;
    if (directory_is_kept(r, pattern))
        return r->recorded.glob(r->recorded.ctx, pattern, a, paths, n);
    int error = r->disk->glob(r->disk->ctx, pattern, a, paths, n);
    size_t left = 0;
    for (size_t i = 0; error == 0 && i < *n; i++) {
        if (!is_kept(r, (*paths)[i]) || !is_new(r, (*paths)[i]))
            (*paths)[left++] = (*paths)[i];
    }
    *n = left;
    return error;
}

static int read_file(void *ctx, const char *path, struct arena *a, struct str *content)
{
    const struct refresh *r = ctx;
    return r->recorded.read_file(r->recorded.ctx, path, a, content);
}

static int find_files(void *ctx, const char *pattern, struct arena *a, const char ***paths,
                      size_t *n)
{
    const struct refresh *r = ctx;
    return r->recorded.glob(r->recorded.ctx, pattern, a, paths, n);
}

static const char *get_env(void *ctx, const char *name)
{
    const struct refresh *r = ctx;
    return r->recorded.env(r->recorded.ctx, name);
}

// ---- rounds -----------------------------------------------------------------------------------

static void note_old(void *ctx, const struct certificate *c)
{
    struct refresh *r = ctx;
    map_put(&r->old, str_of(c->pem.file), (void *)(uintptr_t)c);
}

static void keep_pair(struct refresh *r, const struct certificate *c, const char *why)
{
    const struct certificate *old = map_get(&r->old, str_of(c->pem.file));
    const struct kept *key = map_get(&r->kept, str_of(c->pem.key_file));
    if (key != NULL)
        why = arena_printf(r->arena, "'%s': %s", c->pem.key_file, key->why);
    if (old != NULL)
        keep(r, old->pem.key_file, why)->told = true;
    keep(r, c->pem.file, why)->told = false;
}

static void judge(void *ctx, const struct certificate *c)
{
    struct refresh *r = ctx;
    char why[TLS_WHY_MAX];
    if (is_kept(r, c->pem.file) || tls_pem_check(&c->pem, why))
        return;
    keep_pair(r, c, why);
}

static void judge_tickets(struct refresh *r, const struct tickets *t)
{
    struct ticket_key keys[TICKET_KEYS];
    char why[TICKET_WHY_MAX];
    if (t->keys_file.len > 0 && !tls_tickets_read(t->keys, keys, why))
        (void)keep(r, t->keys_file.p, why);
    tls_ticket_keys_forget(keys);
}

static void drop(struct refreshed *out)
{
    if (out->config != NULL) {
        certificates_forget(out->config);
        arena_free(out->config->arena);
    }
    bundle_free(out->recording);
    out->config = NULL;
    out->recording = NULL;
}

static bool load(struct refresh *r, struct findings *f)
{
    struct config_source s = *r->disk;
    s.ctx = r;
    s.read_file = read_file;
    s.read_secret = read_secret;
    s.glob = find_files;
    s.glob_secret = find_secrets;
    s.env = get_env;
    r->out->recording = bundle_new();
    const struct config_source recording = bundle_record(r->out->recording, &s);
    r->out->config = config_load(&recording, f);
    return r->out->config != NULL;
}

static void begin_again(struct findings *f)
{
    findings_free(f);
    findings_init(f);
}

static bool load_rounds(struct refresh *r, struct findings *f)
{
    size_t kept;
    bool fine;
    int round = 0;
    do {
        drop(r->out);
        begin_again(f);
        kept = r->kept.count;
        fine = load(r, f);
        if (fine) {
            certificates_each(r->out->config, judge, r);
            judge_tickets(r, &r->out->config->tickets);
        }
    } while (r->kept.count > kept && ++round < ROUNDS_MAX);
    if (!fine)
        return false;
    begin_again(f); // what is to be said of all the rest was said at the reload
    return certificates_check(r->out->config, f);
}

// ---- what came of it --------------------------------------------------------------------------

static void add_line(struct refresh *r, char sign, const char *file, const char *what)
{
    r->out->text = arena_printf(r->arena, "%s%c %s%s%s\n", r->out->text, sign, file,
                                what[0] != '\0' ? ": " : "", what);
}

static void add_warnings(struct refresh *r, const struct pem_pair *now)
{
    char why[TLS_WHY_MAX];
    int64_t at = (int64_t)(clock_wall_ms() / 1000);
    if (tls_pem_doubts(now, at, why))
        add_line(r, ' ', "warning", why);
    if (tls_pem_staple_doubts(now, at, why))
        add_line(r, ' ', "warning", why);
}

static void tell_change(struct refresh *r, const struct pem_pair *now)
{
    const struct certificate *old = map_get(&r->old, str_of(now->file));
    if (old == NULL)
        add_line(r, '+', now->file, "");
    else if (!str_eq(old->pem.chain, now->chain) || !str_eq(old->pem.key, now->key))
        add_line(r, '~', now->file, "replaced");
    else if (!str_eq(old->pem.ocsp, now->ocsp))
        add_line(r, '~', now->file, "another OCSP answer");
    else
        return;
    add_warnings(r, now);
    r->out->changed++;
}

static void tell_now(void *ctx, const struct certificate *c)
{
    struct refresh *r = ctx;
    if (map_get(&r->now, str_of(c->pem.file)) != NULL)
        return;
    map_put(&r->now, str_of(c->pem.file), (void *)(uintptr_t)c);
    tell_change(r, &c->pem);
}

static void tell_gone(struct refresh *r)
{
    for (size_t i = 0; i < r->old.cap; i++) {
        const struct certificate *old = r->old.slots[i].value;
        if (old == NULL || map_get(&r->now, r->old.slots[i].key) != NULL)
            continue;
        add_line(r, '-', old->pem.file, "");
        r->out->changed++;
    }
}

static void tell_tickets(struct refresh *r, const struct tickets *old, const struct tickets *now)
{
    if (str_eq(old->keys, now->keys))
        return;
    add_line(r, '~', now->keys_file.p, "other ticket keys");
    r->out->changed++;
}

static void tell_kept(struct refresh *r)
{
    for (size_t i = 0; i < r->kept.cap; i++) {
        const struct map_slot *slot = &r->kept.slots[i];
        const struct kept *k = slot->value;
        if (k == NULL || k->told)
            continue;
        add_line(r, '!', slot->key.p,
                 arena_printf(r->arena, "%s: %s",
                              is_new(r, slot->key.p) ? "not used" : "stays as it was", k->why));
        r->out->kept++;
    }
}

void certificates_refresh(const struct config_source *source, const struct bundle *in_force,
                          const struct config *old, struct arena *a, struct findings *f,
                          struct refreshed *out)
{
    struct refresh r = {.arena = a, .disk = source, .out = out};
    *out = (struct refreshed){.text = ""};
    r.recorded = bundle_replay(in_force, source, a);
    r.kept.arena = r.old.arena = r.now.arena = a;
    certificates_each(old, note_old, &r);
    if (!load_rounds(&r, f)) {
        drop(out);
        return;
    }
    certificates_each(out->config, tell_now, &r);
    tell_gone(&r);
    tell_tickets(&r, &old->tickets, &out->config->tickets);
    tell_kept(&r);
}
