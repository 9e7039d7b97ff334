// SPDX-License-Identifier: MIT
// From the tree to struct config, by the rows of the schema: shapes, values, defaults, inheritance.
// Internal to conf/: bind.c is the engine, bind_*.c the kinds of values.
#ifndef EVLB_CONF_BIND_H
#define EVLB_CONF_BIND_H

#include "conf/schema.h"
#include "conf/suggest.h"
#include "conf/yaml_tree.h"

// Where an object takes its values from, first match wins: itself, `defaults`, the top level. The
// latter two only for the rows that say so. All may be NULL.
struct chain {
    struct node *own, *defaults, *global;
    struct span at; // the object itself, for findings about what is missing
    bool shared; // `own` is a map of the top level that stands for all: its keys are checked there
};

// For `explain`: which node each row of an object was taken from (NULL: the default).
struct bound {
    const struct object *object;
    const void *target;
    struct node **from;
};

struct binder {
    struct arena *arena;
    const struct config_source *source;
    struct findings *findings;
    struct node *tree; // the top level, includes merged
    struct root *root;
    struct map bounds;             // (object, target) -> struct bound
    struct map files;              // of bind_server_tls.c: what was read for servers
    const struct object *object;   // being bound: for topics
    struct node **backends;        // the own node of each backend, for verify.c
    struct node **frontends;       // of each frontend
    struct frontend_draft *drafts; // one per frontend
    bool incomplete;               // a file is missing: names may be unknown without being wrong
    bool unresolved; // a backend was named that does not exist: maybe one that now looks unused
};

// Everything: the frontends and backends of b->tree into b->root. Findings tell what is wrong.
void bind_all(struct binder *b);

// ---- the engine -------------------------------------------------------------------------------
void bind_object(struct binder *b, const struct object *o, const struct chain *c, void *target);
// Reports keys of `map` that none of the objects has (NULL ends them early).
void bind_check_keys(struct binder *b, struct node *map, const struct object *const objects[3]);
// The value of `key` in an object, which may be in its short form.
struct node *bind_get(const struct object *o, struct node *n, const char *key);
const struct bound *bind_origin(const struct binder *b, const struct object *o, const void *target);

// Adds an error about the value of a row and poisons the node.
struct finding *bind_bad(struct binder *b, const struct row *row, struct node *n, const char *id,
                         const char *fmt, ...) PRINTF_LIKE(5, 6);
#define FIX(b, x, ...) diag_fix((b)->findings, x, __VA_ARGS__)
#define NOTE(b, x, ...) diag_note((b)->findings, x, __VA_ARGS__)

// The expanded text of a scalar. False: there is a finding.
bool bind_text(struct binder *b, const struct row *row, struct node *n,
               struct str *text) MUST_CHECK;
// One value or a list of them.
uint32_t bind_items(struct node **n, struct node ***items);
// True for letters, digits, '_', '.', '-', at most NAME_MAX_BYTES; otherwise there is a finding.
bool bind_name(struct binder *b, struct node *key, const char *what) MUST_CHECK;
// A token of HTTP: the name of a field or cookie.
bool bind_is_token(struct str s);
// A token that is not one of the fields that frame a message; otherwise there is a finding.
bool bind_is_field_name(struct binder *b, const struct row *row, struct node *n,
                        struct str s) MUST_CHECK;
// Text without line breaks and control characters; otherwise there is a finding.
bool bind_is_line(struct binder *b, const struct row *row, struct node *n, struct str s) MUST_CHECK;
// Whether a key is one that is ignored: "x-...".
bool bind_is_extension(const struct node *key);
// The words of a row: "a, b, c".
const char *bind_word_list(struct binder *b, const struct row *row);
// What is meant by an unknown word: `w`, unless it is NULL, else the suggestion, if there is one.
void bind_report_unknown(struct binder *b, struct finding *x, const struct foreign_word *w,
                         const struct suggestion *s);

// ---- kinds of values --------------------------------------------------------------------------
typedef void bind_fn(struct binder *b, const struct row *row, struct node *n, void *target);

bind_fn bind_bool, bind_number, bind_duration, bind_size, bind_enum, bind_fixed, bind_plain_text;
bind_fn bind_path, bind_directory, bind_account, bind_nets, bind_access_log, bind_headers;
bind_fn bind_listen_address, bind_hosts, bind_paths, bind_alpn, bind_redirect;
bind_fn bind_backend_name, bind_server_address, bind_hash_on, bind_retry_on;
bind_fn bind_ip, bind_dns_servers, bind_method, bind_target, bind_line, bind_one_field,
    bind_field_map, bind_certs, bind_ticket_keys, bind_pem_file, bind_client_cert, bind_check_cert,
    bind_server_name;

// The slot of a row in its target.
#define SLOT_OF(type, row, target) ((type *)(void *)((char *)(target) + (row)->offset))
#define COUNT_OF(row, target) ((uint32_t *)(void *)((char *)(target) + (row)->count_offset))

// A `tls` section of clients.
void bind_tls(struct binder *b, const struct chain *c, struct tls *tls);
// A file of certificates or what goes with them. 0 or -errno.
int bind_read_live(struct binder *b, const char *path, enum live_kind kind,
                   struct str *content) MUST_CHECK;
// Says that `path` could not be read, with what to do; `error`: -errno.
void bind_unreadable(struct binder *b, const struct row *row, struct node *n, const char *id,
                     const char *path, int error);
// The certificate of a file; NULL: there is a finding.
const struct certificate *bind_one_cert(struct binder *b, const struct row *row, struct node *n,
                                        enum live_kind kind) MUST_CHECK;
// In the short form with `listen`, what a frontend may say as well stands there for the frontend.
bool bind_is_of_clients(const struct binder *b, const struct node *backend);

void bind_backends(struct binder *b);
void bind_frontends(struct binder *b);
struct chain bind_chain(const struct binder *b, struct node *own, struct span at);

#endif
