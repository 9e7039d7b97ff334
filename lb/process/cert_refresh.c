// SPDX-License-Identifier: MIT
// Loading the configuration in force once more with other certificates. Runs in the supervisor,
// called by reload_load.c.
//
// The load is the usual one, from a source of its own: everything is answered from the recording of
// what is in force, but certificates, keys, OCSP answers, authorities, revocation lists, ticket
// keys and the directories of certificates come from the disk. What cannot be used there is
// answered from the recording as well:
//
//   load --a file, or a pair, cannot be used--> it is "kept" --> load again
//        --all can be used--------------------> done
//
// Invariants: the recording in force was checked when it came into force, so what is kept can be
// used, alone and together; every round keeps at least one file more, so the rounds end.
#include "process/cert_refresh.h"

#include <errno.h>

#include "base/map.h"
#include "io/loop.h"
#include "io/tls.h"
#include "io/tls_tickets.h"
#include "process/certificates.h"
#include "proxy/tls_listen.h"

#define ROUNDS_MAX 8

struct kept {
    const char *why;
    bool told; // with its certificate
};

struct refresh {
    struct arena *arena;
    const struct config_source *disk;
    struct config_source recorded;
    struct map kept;       // path -> struct kept: it is not read
    struct map old;        // file -> const struct certificate *: in force
    struct map now;        // the same of the new configuration
    struct map old_trust;  // file -> const struct str *: authorities, revocation lists in force
    struct map told_trust; // those that have changed
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

// A certificate with the key that it has in force.
static void keep_file(struct refresh *r, const char *path, const char *why)
{
    const struct certificate *old = map_get(&r->old, str_of(path));
    if (old != NULL)
        keep(r, old->pem.key_file, why)->told = true;
    keep(r, path, why)->told = false;
}

static bool is_kept(const struct refresh *r, const char *path)
{
    return map_get(&r->kept, str_of(path)) != NULL;
}

// Why a file is not taken, whatever stands beside it; NULL: it may be.
static const char *unfit(const struct refresh *r, const char *path, enum live_kind kind,
                         struct str content)
{
    if (kind == LIVE_PUBLIC && pem_has_key(content))
        return "it holds a key; name a file without one";
    if (map_get(&r->old, str_of(path)) != NULL && !pem_has_certificate(content))
        return "it holds no certificate";
    return NULL;
}

// A key in what goes to control is not left in memory either.
static int read_from_disk(struct refresh *r, const char *path, enum live_kind kind, struct arena *a,
                          struct str *content, const char **why)
{
    int error = r->disk->read_live(r->disk->ctx, path, kind, a, content);
    *why = error != 0 ? config_source_why(r->disk, path, error, a) : unfit(r, path, kind, *content);
    if (error != 0 || *why == NULL)
        return error;
    if (content->len > 0)
        explicit_bzero((void *)(uintptr_t)content->p, content->len);
    return -EPERM;
}

// What cannot be used is as it was before, but answers about certificates may go.
static int read_live(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                     struct str *content)
{
    struct refresh *r = ctx;
    const char *why = "";
    bool kept = is_kept(r, path);
    int error = kept ? 0 : read_from_disk(r, path, kind, a, content, &why);
    bool is_gone = error == -ENOENT && str_ends(str_of(path), STR(".ocsp"));
    if (!kept && (error == 0 || is_gone))
        return error;
    int before = r->recorded.read_live(r->recorded.ctx, path, kind, a, content);
    if (!kept && before != error)
        keep_file(r, path, why);
    return before;
}

// Whether a file of a directory is one for the loader: in force, or new, there (a link may lead
// nowhere) and no mere key.
static bool is_candidate(struct refresh *r, const char *path)
{
    struct str content;
    if (map_get(&r->old, str_of(path)) != NULL)
        return true;
    if (is_kept(r, path))
        return false;
    int error = r->disk->read_live(r->disk->ctx, path, LIVE_SECRET, r->arena, &content);
    if (error != 0)
        return error != -ENOENT;
    return content.len == 0 || pem_has_certificate(content);
}

// A directory of which nothing is left is as it was before.
static int list_live(void *ctx, const char *dir, struct arena *a, const char ***paths, size_t *n)
{
    struct refresh *r = ctx;
    bool kept = is_kept(r, dir);
    int error = kept ? 0 : r->disk->list_live(r->disk->ctx, dir, a, paths, n);
    size_t left = 0;
    if (kept)
        return r->recorded.list_live(r->recorded.ctx, dir, a, paths, n);
    for (size_t i = 0; error == 0 && i < *n; i++) {
        if (is_candidate(r, (*paths)[i]))
            (*paths)[left++] = (*paths)[i];
    }
    *n = left;
    if (left > 0)
        return 0;
    (void)keep(r, dir,
               error != 0 ? config_source_why(r->disk, dir, error, a)
                          : "it holds no certificate any more");
    return r->recorded.list_live(r->recorded.ctx, dir, a, paths, n);
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

// ---- what is in force -------------------------------------------------------------------------

static void note_cert(void *ctx, const struct certificate *c)
{
    struct refresh *r = ctx;
    map_put(&r->old, str_of(c->pem.file), (void *)(uintptr_t)c);
}

static void note_trust(struct refresh *r, const char *file, const struct str *bytes)
{
    if (file != NULL)
        map_put(&r->old_trust, str_of(file), (void *)(uintptr_t)bytes);
}

static void note_listener(void *ctx, const struct frontend *f, const struct tls *tls)
{
    (void)f;
    note_trust(ctx, tls->client_ca.file, &tls->client_ca.bytes);
    note_trust(ctx, tls->client_crl.file, &tls->client_crl.bytes);
}

static void note_server(void *ctx, const struct server_tls *tls)
{
    note_trust(ctx, tls->terms.ca_file, &tls->terms.ca);
    note_trust(ctx, tls->ca.file, &tls->ca.bytes);
}

static void note_old(struct refresh *r, const struct config *old)
{
    certificates_each(old, note_cert, r);
    certificates_each_listener(old, note_listener, r);
    certificates_each_server(old, note_server, r);
}

static bool is_in_force(const struct refresh *r, const char *file, struct str bytes)
{
    const struct str *old = map_get(&r->old_trust, str_of(file));
    return old != NULL && str_eq(*old, bytes);
}

// ---- rounds -----------------------------------------------------------------------------------

static void keep_pair(struct refresh *r, const struct certificate *c, const char *why)
{
    const struct kept *key = map_get(&r->kept, str_of(c->pem.key_file));
    if (key != NULL)
        why = arena_printf(r->arena, "'%s': %s", c->pem.key_file, key->why);
    keep_file(r, c->pem.file, why);
}

static void judge_cert(struct refresh *r, const struct certificate *c, const char *ciphers)
{
    char why[TLS_WHY_MAX];
    if (!is_kept(r, c->pem.file) && !tls_pem_check(&c->pem, ciphers, why))
        keep_pair(r, c, why);
}

// A list in force that does not go with the authorities: it is they who are new.
static void judge_listener(void *ctx, const struct frontend *f, const struct tls *tls)
{
    struct refresh *r = ctx;
    (void)f;
    char why[TLS_WHY_MAX];
    for (uint32_t i = 0; i < tls->n_certs; i++)
        judge_cert(r, &tls->certs[i], tls_listen_ciphers(tls));
    const struct pem_file *bad = certificates_client_fault(tls, why);
    if (bad != NULL && is_in_force(r, bad->file, bad->bytes))
        bad = &tls->client_ca;
    if (bad != NULL)
        (void)keep(r, bad->file, why);
}

static void judge_server(void *ctx, const struct server_tls *tls)
{
    struct refresh *r = ctx;
    char why[TLS_WHY_MAX];
    if (tls->client_cert != NULL)
        judge_cert(r, tls->client_cert, "");
    if (!certificates_server_check(tls, why))
        (void)keep(r, tls->ca.file != NULL ? tls->ca.file : tls->terms.ca_file, why);
}

static void judge_check(struct refresh *r, const struct health *h)
{
    if (h->client_cert != NULL)
        judge_cert(r, h->client_cert, "");
}

static void judge_tickets(struct refresh *r, const struct tickets *t)
{
    struct ticket_key keys[TICKET_KEYS];
    char why[TICKET_WHY_MAX];
    if (t->keys_file.len > 0 && !tls_tickets_read(t->keys, keys, why))
        (void)keep(r, t->keys_file.p, why);
    tls_ticket_keys_forget(keys);
}

static void judge(struct refresh *r, const struct config *c)
{
    certificates_each_listener(c, judge_listener, r);
    certificates_each_server(c, judge_server, r);
    for (uint32_t i = 0; i < c->n_backends; i++)
        judge_check(r, &c->backends[i].health);
    judge_tickets(r, &c->tickets);
}

static void drop(struct refreshed *out)
{
    if (out->config != NULL)
        arena_free(out->config->arena);
    bundle_free(out->recording);
    out->config = NULL;
    out->recording = NULL;
}

static bool load(struct refresh *r, struct findings *f)
{
    struct config_source s = *r->disk;
    s.ctx = r;
    s.read_file = read_file;
    s.read_live = read_live;
    s.glob = find_files;
    s.list_live = list_live;
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
        if (fine)
            judge(r, r->out->config);
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
    if (tls_pem_doubts(now, true, at, why))
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

static void tell_cert(void *ctx, const struct certificate *c)
{
    struct refresh *r = ctx;
    if (map_get(&r->now, str_of(c->pem.file)) != NULL)
        return;
    map_put(&r->now, str_of(c->pem.file), (void *)(uintptr_t)c);
    tell_change(r, &c->pem);
}

static void tell_trust(struct refresh *r, const char *file, const struct str *bytes,
                       const char *what)
{
    if (file == NULL || is_in_force(r, file, *bytes) ||
        map_get(&r->told_trust, str_of(file)) != NULL)
        return;
    map_put(&r->told_trust, str_of(file), (void *)(uintptr_t)bytes);
    add_line(r, '~', file, what);
    r->out->changed++;
    r->out->trust++;
}

static void doubt_client(void *ctx, bool crl, const char *why)
{
    (void)crl;
    add_line(ctx, ' ', "warning", why);
}

static void tell_listener(void *ctx, const struct frontend *f, const struct tls *tls)
{
    struct refresh *r = ctx;
    (void)f;
    const struct pem_file *ca = &tls->client_ca, *crl = &tls->client_crl;
    const struct tls_client_auth clients = tls_listen_clients(tls);
    size_t before = r->told_trust.count;
    tell_trust(r, ca->file, &ca->bytes, "other authorities");
    tell_trust(r, crl->file, &crl->bytes, "other revocation lists");
    if (r->told_trust.count > before)
        tls_client_auth_doubts(&clients, (int64_t)(clock_wall_ms() / 1000), doubt_client, r);
}

static void tell_hidden(void *ctx, const struct frontend *f, const struct tls *tls)
{
    char why[TLS_WHY_MAX];
    (void)f;
    for (uint32_t i = 0; i < tls->n_certs; i++) {
        if (certificates_hidden(tls, i, why))
            add_line(ctx, ' ', "warning", why);
    }
}

static void tell_server(void *ctx, const struct server_tls *tls)
{
    tell_trust(ctx, tls->terms.ca_file, &tls->terms.ca, "other authorities");
    tell_trust(ctx, tls->ca.file, &tls->ca.bytes, "other authorities");
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
    r->out->tickets++;
}

// Whether the recording knows of no such file.
static bool is_new(const struct refresh *r, const char *path)
{
    bool found = false;
    struct str content;
    for (int kind = LIVE_PUBLIC; kind <= LIVE_SECRET && !found; kind++)
        found = r->recorded.read_live(r->recorded.ctx, path, (enum live_kind)kind, r->arena,
                                      &content) != -ENOENT;
    return !found;
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
    r.kept.arena = r.old.arena = r.now.arena = r.old_trust.arena = r.told_trust.arena = a;
    note_old(&r, old);
    if (!load_rounds(&r, f)) {
        drop(out);
        return;
    }
    certificates_each(out->config, tell_cert, &r);
    tell_gone(&r);
    certificates_each_listener(out->config, tell_listener, &r);
    certificates_each_server(out->config, tell_server, &r);
    tell_tickets(&r, &old->tickets, &out->config->tickets);
    if (out->changed > 0)
        certificates_each_listener(out->config, tell_hidden, &r);
    tell_kept(&r);
}
