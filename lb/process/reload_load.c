// SPDX-License-Identifier: MIT
// Loading anew while the old configuration serves. Runs in the supervisor, called by reload.c. The
// steps are in the order of what they leave behind when a later one fails: a configuration and an
// open file are just freed, sockets are closed, slots are given back by assigning the old
// configuration again.
// Invariant: nothing that a child can see is touched before the last step has succeeded, but for
// words of the board that nobody uses yet.
#include "process/reload_load.h"

#include <errno.h>
#include <unistd.h>

#include "conf/bundle.h"
#include "conf/overlay.h"
#include "conf/plan.h"
#include "process/access_file.h"
#include "process/cert_refresh.h"
#include "process/certificates.h"

static bool fail(struct loading *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

static bool fail(struct loading *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    l->text = arena_vprintf(l->arena, fmt, args);
    va_end(args);
    return false;
}

// ---- reading ----------------------------------------------------------------------------------

static bool add_line(struct loading *l, const char *overlay, const char *line)
{
    struct overlay one;
    struct str text = str_of(overlay);
    const char *why;
    if (line != NULL) {
        if (!overlay_parse(str_of(line), l->arena, &one, &why))
            return fail(l, "%s\n", why);
        for (uint32_t i = 0; i < one.n; i++) {
            if (!overlay_add(text, &one.entries[i], l->arena, &text))
                return fail(l, "a name or value in it cannot be written\n");
        }
    }
    l->overlay = arena_strdup(l->arena, text);
    return true;
}

// As the user would see them; NULL: out of memory.
static const char *findings_text(struct loading *l, const struct findings *f)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return "out of memory\n";
    findings_print(f, out, FINDINGS_TEXT, false);
    (void)fclose(out);
    const char *copy = arena_strdup(l->arena, str_of(text));
    free(text);
    return copy;
}

static bool read_files(struct loading *l, const struct config_source *files)
{
    struct findings findings;
    l->recording = bundle_new();
    const struct config_source source = bundle_record(l->recording, files);
    if (files->text.p == NULL && strcmp(files->root, "-") == 0)
        return fail(l, "the configuration came from standard input, which cannot be read again: "
                       "give evlb a file with -c\n");
    findings_init(&findings);
    l->config = certificates_load(&source, &findings);
    l->text = findings_text(l, &findings); // warnings, when it has loaded
    findings_free(&findings);
    return l->config != NULL;
}

static const char *what_changed(struct arena *a, const struct refreshed *r)
{
    uint32_t certs = r->changed - r->trust - r->tickets;
    const char *text = "";
    if (certs > 0)
        text = arena_printf(a, "%u certificate%s", certs, certs == 1 ? "" : "s");
    if (r->trust > 0)
        text = arena_printf(a, "%s%sauthorities or revocations", text, certs > 0 ? ", " : "");
    if (r->tickets > 0)
        text = arena_printf(a, "%s%sticket keys", text, certs + r->trust > 0 ? ", " : "");
    return arena_printf(a, "%s changed", text);
}

static bool read_certificates(const struct tree *t, struct loading *l,
                              const struct config_source *source)
{
    struct findings findings;
    struct refreshed new;
    findings_init(&findings);
    certificates_refresh(source, t->recording, t->config, l->arena, &findings, &new);
    l->text = new.config != NULL ? new.text : findings_text(l, &findings);
    findings_free(&findings);
    l->config = new.config;
    l->recording = new.recording;
    l->changed = new.changed;
    l->kept = new.kept;
    l->same = new.changed == 0;
    l->summary = what_changed(l->arena, &new);
    return l->config != NULL;
}

// What takes a restart stays as it is.
static void keep_fixed(struct config *c, const struct config *old)
{
    c->workers = old->workers;
    c->user = arena_str(c->arena, old->user);
    c->group = arena_str(c->arena, old->group);
    c->admin_socket = arena_str(c->arena, old->admin_socket);
}

static void describe(struct loading *l, const struct tree *t)
{
    const struct plan plan = plan_make(t->config, l->config, l->arena);
    uint32_t fixed = 0;
    for (uint32_t i = 0; i < plan.n; i++)
        fixed += plan.items[i].sign == PLAN_RESTART;
    uint32_t n = plan.n - fixed;
    l->summary = n > 0 ? arena_printf(l->arena, "%u change%s", n, n > 1 ? "s" : "") : "no changes";
    if (fixed > 0)
        l->summary = arena_printf(l->arena, "%s, %u that take%s a restart", l->summary, fixed,
                                  fixed > 1 ? "" : "s");
    l->text = arena_printf(l->arena, "%s%s", l->text, plan_text(&plan, l->arena));
    l->same = plan.n == 0 && str_eq(l->config->overlay, t->config->overlay) &&
              bundle_same(l->recording, t->recording);
}

// ---- binding, slots ---------------------------------------------------------------------------

static bool bind_new(struct tree *t, struct loading *l)
{
    struct buf why = {0};
    l->first_new_listener = t->listeners->next_number;
    bool fine = listeners_prepare(t->listeners, l->config, &why);
    if (!fine)
        (void)fail(l, "%.*s", (int)buf_len(&why), buf_head(&why));
    buf_release(&why);
    return fine;
}

static bool open_access(const struct tree *t, struct loading *l)
{
    l->access_changed = !access_file_same(t->config, l->config);
    int error = l->access_changed ? access_file_open(l->config, &l->access_fd) : 0;
    return error == 0 || fail(l, "cannot open the access log %s: %s\n",
                              l->config->access_log_path.p, strerror(-error));
}

static bool seal_for(enum bundle_for reader, struct loading *l, struct bundle *b,
                     const struct config_source *source, int *fd)
{
    struct buf bytes = {0};
    bool fine = bundle_write(b, source, l->config, reader, &bytes);
    if (fine)
        *fd = channel_text((struct str){buf_head(&bytes), buf_len(&bytes)});
    if (bytes.base != NULL)
        explicit_bzero(buf_head(&bytes), buf_len(&bytes)); // keys
    buf_release(&bytes);
    if (!fine)
        return fail(l, "out of memory\n");
    return *fd >= 0 || fail(l, "cannot make a memfd: %s\n", strerror(-*fd));
}

static bool seal(struct loading *l, struct bundle *b, const struct config_source *source)
{
    return seal_for(BUNDLE_FOR_WORKERS, l, b, source, &l->bundle_fd) &&
           seal_for(BUNDLE_FOR_CONTROL, l, b, source, &l->control_fd);
}

static bool give_slots(struct tree *t, struct loading *l, struct bundle *b,
                       const struct config_source *source)
{
    const char *what;
    if (!slots_assign(t->slots, l->config, l->generation, &what))
        return fail(l, "there is no more room for %s: a restart makes some\n", what);
    if (seal(l, b, source))
        return true;
    bool back = slots_assign(t->slots, t->config, l->generation, &what);
    lb_assert(back); // it has all of them still
    return false;
}

// ---- all of it --------------------------------------------------------------------------------

static bool load(struct tree *t, const struct supervisor_options *o, struct loading *l)
{
    struct config_source source = *o->source;
    source.overlay = str_of(l->overlay);
    bool certificates = l->kind == RELOAD_CERTIFICATES;
    if (!(certificates ? read_certificates(t, l, &source) : read_files(l, &source)))
        return false;
    if (!certificates) {
        o->adjust(o->adjust_ctx, l->config);
        describe(l, t);
    }
    if (l->same)
        return true;
    if (certificates)
        o->adjust(o->adjust_ctx, l->config);
    keep_fixed(l->config, t->config);
    if (!open_access(t, l) || !bind_new(t, l))
        return false;
    if (give_slots(t, l, l->recording, &source))
        return true;
    listeners_undo(t->listeners);
    return false;
}

static void drop_results(struct loading *l)
{
    if (l->config != NULL)
        arena_free(l->config->arena);
    bundle_free(l->recording);
    if (l->access_fd >= 0)
        (void)close(l->access_fd);
    l->config = NULL;
    l->recording = NULL;
    l->access_fd = -1;
}

bool reload_load(struct tree *t, const struct supervisor_options *options, const char *overlay,
                 const char *line, struct loading *l)
{
    *l = (struct loading){.kind = l->kind,
                          .arena = arena_new(),
                          .generation = t->generation + 1,
                          .bundle_fd = -1,
                          .control_fd = -1,
                          .access_fd = -1};
    bool fine = add_line(l, overlay, line) && load(t, options, l);
    if (!fine || l->same)
        drop_results(l);
    return fine;
}

void reload_load_done(struct loading *l)
{
    if (l->bundle_fd >= 0)
        (void)close(l->bundle_fd);
    if (l->control_fd >= 0)
        (void)close(l->control_fd);
    arena_free(l->arena);
}
