// SPDX-License-Identifier: MIT
// From YAML to struct config, and what there is to say about it: the findings (errors and
// warnings), the effective configuration with the origin of every value, and the documents that
// are made from the schema. Nothing here reads a file, a clock or the environment by itself: that
// is what struct config_source is for.
#ifndef EVLB_LOAD_H
#define EVLB_LOAD_H

#include "base/arena.h"
#include "base/str.h"
#include "conf/config.h"

// ---- findings ---------------------------------------------------------------------------------

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };
enum findings_format { FINDINGS_TEXT, FINDINGS_GCC, FINDINGS_JSON, FINDINGS_GITHUB };

#define FINDINGS_MAX 50
#define FINDING_NOTES_MAX 4

// One thing that is wrong. Lines and columns count from 1, columns in characters; line 0: the
// file as a whole.
struct finding {
    enum severity severity;
    const char *id;   // "config.enum": stable
    const char *file; // as the reader of the message would name it
    uint32_t line, column;
    uint32_t end_column; // behind the last character, on the same line
    const char *message; // one sentence
    const char *fix;     // what stands behind the caret ("did you mean 'least-conn'?"), or NULL
    const char *notes[FINDING_NOTES_MAX]; // further lines ("one of: ..."), or NULL
    const char *excerpt;                  // the line of the file, or NULL
    const char *topic;                    // what `evlb explain TOPIC` tells more about, or NULL
    uint32_t order;                       // of the file among those read, for sorting
};

struct findings {
    struct arena *arena;   // owns all texts
    struct finding *items; // in the order of files and lines
    size_t count, cap;
    uint32_t errors, warnings; // those not kept included
    uint32_t dropped;          // beyond FINDINGS_MAX
};

void findings_init(struct findings *f);
void findings_free(struct findings *f);
// Writes all of them; the text format ends with a summary line when there is anything to say.
// "text" is for people, "gcc" one line each for editors, "json" one object, "github" annotations.
void findings_print(const struct findings *f, FILE *out, enum findings_format format, bool colour);
// "text", "gcc", "json", "github". False: no such format.
bool findings_format_parse(const char *name, enum findings_format *format) MUST_CHECK;

// ---- loading ----------------------------------------------------------------------------------

// LIVE_PUBLIC: may not hold a key; LIVE_CHECK: of health checks, for control, too; LIVE_SECRET:
// control may not have it.
enum live_kind { LIVE_PUBLIC, LIVE_CHECK, LIVE_SECRET };
enum source_thing { SOURCE_USER, SOURCE_GROUP, SOURCE_DIRECTORY };

// Where the bytes come from. The functions return 0 or -errno. All of them are there, but for
// `exists` and `why`. `ctx` is theirs.
struct config_source {
    const char *root;   // a file, a directory (all its *.yaml), "-" for standard input; with `text`
                        // set only the name that messages use
    struct str text;    // the root's content when p is set: no file is read for it
    struct str overlay; // lines of conf/overlay.h that stand over the files; empty: none
    void *ctx;
    // The whole file into `a`. A directory is -EISDIR.
    int (*read_file)(void *ctx, const char *path, struct arena *a, struct str *content);
    // The same for certificates and all that goes with them, which are also read again while the
    // rest stays as it is (process/cert_refresh.c).
    int (*read_live)(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                     struct str *content);
    // The paths that match, sorted, in `a`. None: 0 with *n = 0.
    int (*glob)(void *ctx, const char *pattern, struct arena *a, const char ***paths, size_t *n);
    // The files of a directory that may hold certificates (*.crt, *.pem), by name. Read again with
    // them.
    int (*list_live)(void *ctx, const char *dir, struct arena *a, const char ***paths, size_t *n);
    // The value of an environment variable, or NULL.
    const char *(*env)(void *ctx, const char *name);
    // Whether this machine has it; a missing one is warned of. NULL: not asked.
    bool (*exists)(void *ctx, enum source_thing thing, const char *name);
    // What `error` (-errno) of reading `path` means for people, in `a`. NULL: no more than the
    // error says of itself.
    const char *(*why)(void *ctx, const char *path, int error, struct arena *a);
};

// Reads the file system and the environment of this process.
struct config_source config_source_files(const char *root);
// Why `path` could not be read.
const char *config_source_why(const struct config_source *s, const char *path, int error,
                              struct arena *a);
// For `exists`: asks this machine.
bool config_exists_here(void *ctx, enum source_thing thing, const char *name);
// The given text instead of a file; includes, ${VAR} and ${file:} as with files.
struct config_source config_source_text(const char *name, struct str text);

// NULL when there is an error; the findings (initialised by the caller) say which. All findings
// come in one run. The caller frees with arena_free(config->arena).
struct config *config_load(const struct config_source *source, struct findings *f) MUST_CHECK;

// The file that stands for `run --listen 8080 --to a:80 --to b:80`, quoted and escaped, in `a`.
struct str config_text_from_flags(struct arena *a, const char *listen, const char *const *to,
                                  size_t n) MUST_CHECK;

// ---- explaining -------------------------------------------------------------------------------

// The whole effective configuration as YAML, each value with its origin as a comment; secrets
// masked. False when the source does not load (the findings say why; nothing is written).
bool config_explain(const struct config_source *source, struct findings *f, FILE *out) MUST_CHECK;
// One key ("balance", "backends.*.timeout.connect"): documentation, type, default, limits, since,
// example. False when there is no such key: then a sentence with a suggestion is written instead.
bool config_explain_key(const char *key, FILE *out) MUST_CHECK;
// The names of all keys, one path a line: for shell completion.
void config_list_keys(FILE *out);

// JSON Schema (draft 2020-12).
void config_schema_json(FILE *out);
// docs/configuration.md.
void config_reference(FILE *out);
// evlb.yaml(5) in scdoc format.
void config_man_page(FILE *out);
// The commented file of `evlb init`.
void config_starter(FILE *out);

#endif
