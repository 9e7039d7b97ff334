// SPDX-License-Identifier: MIT
// `certs` of a `tls` section: which files they are, and the bytes of certificates and keys. What
// the bytes mean is not looked into: that takes OpenSSL, and is done when the configuration has
// loaded (process/certificates.c). Called by the engine.
//
// The files of `certs` are read as secrets: in control, which is not to have keys, they are there
// and empty (conf/bundle.h), and nothing here may take offence at that.
#include <errno.h>

#include "conf/bind.h"
#include "conf/include.h"

#define CERTS_MAX 10000u // of one `tls`: also bounds what a directory brings

struct certs {
    struct binder *b;
    const struct row *row;
    struct node *node; // being read
    enum live_kind kind;
    struct certificate *items;
    uint32_t n;
    size_t cap;
};

int bind_read_live(struct binder *b, const char *path, enum live_kind kind, struct str *content)
{
    int r = b->source->read_live(b->source->ctx, path, kind, b->arena, content);
    if (r == 0 && kind == LIVE_SECRET) {
        struct secret *s = arena_alloc(b->arena, sizeof(*s));
        *s = (struct secret){*content, b->root->config.secrets};
        b->root->config.secrets = s;
    }
    return r;
}

void bind_unreadable(struct binder *b, const struct row *row, struct node *n, const char *id,
                     const char *path, int error)
{
    struct finding *x = bind_bad(b, row, n, id, "'%s': %s", path,
                                 config_source_why(b->source, path, error, b->arena));
    if (error == -EACCES)
        FIX(b, x, "give evlb the right to read it, or a copy of its own");
    else
        FIX(b, x, "name a PEM file that evlb may read");
}

static int read_live(const struct certs *c, const char *path, struct str *content)
{
    return bind_read_live(c->b, path, c->kind, content);
}

static const char *name_in(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash != NULL ? slash + 1 : file;
}

// "dir/site.pem" -> "dir/site.key"
static const char *beside(struct arena *a, const char *file, const char *ending)
{
    const char *name = name_in(file), *dot = strrchr(name, '.');
    size_t stem = dot != NULL && dot > name ? (size_t)(dot - file) : strlen(file);
    return arena_printf(a, "%.*s.%s", (int)stem, file, ending);
}

// "dir/fullchain.pem" -> "dir/privkey.pem"
static const char *key_beside(struct arena *a, const char *file)
{
    const char *name = name_in(file);
    if (strcmp(name, "fullchain.pem") == 0)
        return arena_printf(a, "%.*sprivkey.pem", (int)(name - file), file);
    return beside(a, file, "key");
}

static void report(struct certs *c, const char *path, const char *why)
{
    struct finding *x = bind_bad(c->b, c->row, c->node, "tls.certificate", "'%s': %s", path, why);
    FIX(c->b, x, "name a PEM file that evlb may read%s",
        c->row->type == VALUE_CERTS ? ", or a directory of them" : "");
}

static void unreadable(struct certs *c, const char *path, int error)
{
    bind_unreadable(c->b, c->row, c->node, "tls.certificate", path, error);
}

static void find_key(struct certs *c, struct pem_pair *pem)
{
    struct str key;
    pem->key_file = pem->file;
    pem->key = pem->chain;
    if (pem_has_key(pem->chain))
        return;
    const char *file = key_beside(c->b->arena, pem->file);
    pem->key = STR("");
    int r = read_live(c, file, &key);
    if (r != 0 && r != -ENOENT)
        unreadable(c, file, r);
    if (r != 0)
        return;
    pem->key_file = file;
    pem->key = key;
}

// What the issuer says of the certificate, for clients that ask: site.pem.ocsp or site.ocsp.
static void find_ocsp(struct certs *c, struct pem_pair *pem)
{
    struct arena *a = c->b->arena;
    const char *const files[] = {arena_printf(a, "%s.ocsp", pem->file),
                                 beside(a, pem->file, "ocsp")};
    for (size_t i = 0; i < ARRAY_LEN(files) && pem->ocsp_file == NULL; i++) {
        if (read_live(c, files[i], &pem->ocsp) == 0)
            pem->ocsp_file = files[i];
    }
}

static void refuse_more(struct certs *c)
{
    struct finding *x = bind_bad(c->b, c->row, c->node, "tls.certificate",
                                 "there are more than %u certificates", CERTS_MAX);
    FIX(c->b, x, "divide them among several addresses, each with a tls of its own");
}

static void add(struct certs *c, const char *file, struct str chain)
{
    if (c->n == CERTS_MAX) {
        if (!c->node->poisoned)
            refuse_more(c);
        return;
    }
    c->items = arena_grow(c->b->arena, c->items, c->n, &c->cap, sizeof(*c->items));
    struct certificate *cert = &c->items[c->n++];
    *cert = (struct certificate){.pem = {.file = file, .chain = chain}, .mark = node_mark(c->node)};
    find_key(c, &cert->pem);
    find_ocsp(c, &cert->pem);
}

// Files of a directory without a certificate (keys, chains alone) are not asked for.
static void add_files(struct certs *c, const char *dir)
{
    const struct config_source *s = c->b->source;
    const char **paths;
    size_t n;
    struct str chain;
    int error = s->list_live(s->ctx, dir, c->b->arena, &paths, &n);
    if (error != 0)
        unreadable(c, dir, error);
    for (size_t i = 0; error == 0 && i < n; i++) {
        int r = read_live(c, paths[i], &chain);
        if (r != 0)
            unreadable(c, paths[i], r);
        else if (chain.len == 0 || pem_has_certificate(chain))
            add(c, paths[i], chain);
    }
}

static void add_directory(struct certs *c, const char *dir)
{
    uint32_t before = c->n;
    struct str chain;
    const char *certbot = arena_printf(c->b->arena, "%s/fullchain.pem", dir);
    if (read_live(c, certbot, &chain) == 0) { // beside it lie its parts
        add(c, certbot, chain);
        return;
    }
    add_files(c, dir);
    if (c->n == before && !c->node->poisoned)
        report(c, dir, "the directory holds no certificate (*.pem, *.crt)");
}

static void add_path(struct certs *c, struct node *n)
{
    struct str s, chain;
    c->node = n;
    if (!bind_text(c->b, c->row, n, &s))
        return;
    if (s.len == 0 || memchr(s.p, '\0', s.len) != NULL) {
        report(c, "", "this is no path");
        return;
    }
    while (s.len > 1 && s.p[s.len - 1] == '/') // one name for a directory, here and in messages
        s.len--;
    const char *path = include_beside(c->b->arena, n->at.file, s);
    int r = read_live(c, path, &chain);
    if (r == -ENOENT && (str_eq(s, STR("true")) || str_eq(s, STR("false")))) {
        struct finding *x = bind_bad(c->b, c->row, n, "tls.certificate",
                                     "TLS with clients needs a certificate, not '%.*s'", SHOW(s));
        if (str_eq(s, STR("true")))
            FIX(c->b, x, "write tls: FILE; TLS to the servers is server-defaults: {tls: true}");
        else
            FIX(c->b, x,
                "leave it out, and write tls at the other addresses: {address: 443, tls: FILE}");
        return;
    }
    if (r == -EISDIR)
        add_directory(c, path);
    else if (r != 0)
        unreadable(c, path, r);
    else
        add(c, path, chain);
}

const struct certificate *bind_one_cert(struct binder *b, const struct row *row, struct node *n,
                                        enum live_kind kind)
{
    struct certs c = {.b = b, .row = row, .kind = kind};
    add_path(&c, n);
    if (c.n > 1)
        report(&c, c.items[0].pem.file, "the directory holds more than this certificate");
    return c.n == 1 ? c.items : NULL;
}

void bind_certs(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct tls *tls = target;
    struct certs c = {.b = b, .row = row, .kind = LIVE_SECRET};
    struct node **items;
    uint32_t count = bind_items(&n, &items);
    tls->mark = node_mark(n);
    for (uint32_t i = 0; i < count; i++)
        add_path(&c, items[i]);
    *SLOT_OF(struct certificate *, row, target) = c.items;
    *COUNT_OF(row, target) = c.n;
}

void bind_ticket_keys(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct tickets *tickets = target;
    struct str s;
    if (!bind_text(b, row, n, &s))
        return;
    const char *path = include_beside(b->arena, n->at.file, s);
    int r = memchr(s.p, '\0', s.len) != NULL ? -EINVAL
                                             : bind_read_live(b, path, LIVE_SECRET, &tickets->keys);
    tickets->keys_file = str_of(path);
    tickets->mark = node_mark(n);
    if (r == 0)
        return;
    struct finding *x = bind_bad(b, row, n, "tls.tickets", "'%s': %s", path,
                                 config_source_why(b->source, path, r, b->arena));
    FIX(b, x, "name a file that evlb may read");
}

static struct conf_mark mark_of(struct node *map, const char *key)
{
    struct node *n = map->kind == NODE_MAP ? node_get(map, key) : NULL;
    return n != NULL ? node_mark(n) : (struct conf_mark){0};
}

// The lowest version follows from the profile where it is not said, and may not contradict it.
static void bind_min(struct binder *b, const struct chain *c, struct tls *tls)
{
    struct node *own = c->own->kind == NODE_MAP ? node_get(c->own, "min") : NULL;
    if (tls->profile != TLS_MODERN || tls->min == TLS_MIN_1_3)
        return;
    tls->min = TLS_MIN_1_3;
    if (own == NULL || own->poisoned)
        return;
    struct finding *x = bind_bad(b, schema_row(&object_tls, STR("min")), own, "tls.versions",
                                 "profile: modern is TLS 1.3 alone");
    x->topic = "frontends.*.tls.profile";
    FIX(b, x, "remove it, or write profile: intermediate");
}

bool listen_shares_tls(const struct frontend *f, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++) {
        if (f->listens[i].tls.certs == f->listens[k].tls.certs)
            return true;
    }
    return false;
}

// What says how clients are to be believed says nothing without whom. Of `tls` no other row needs
// one.
void bind_tls(struct binder *b, const struct chain *c, struct tls *tls)
{
    bind_object(b, &object_tls, c, tls);
    bind_min(b, c, tls);
    tls->ciphers_mark = mark_of(c->own, "ciphers");
    tls->groups_mark = mark_of(c->own, "groups");
    for (size_t i = 0; i < object_tls.n_rows && c->own->kind == NODE_MAP; i++) {
        const struct row *row = &object_tls.rows[i];
        struct node *n = node_get(c->own, row->key);
        if (row->needs == NULL || n == NULL || n->poisoned || node_get(c->own, row->needs) != NULL)
            continue;
        struct finding *x = bind_bad(b, row, n, "config.missing",
                                     "'%s' without '%s': nobody is asked", row->key, row->needs);
        x->topic = arena_printf(b->findings->arena, "%s.%s", object_tls.path, row->key);
        FIX(b, x, "add client-ca: FILE, with who signs the certificates of your clients");
    }
}
