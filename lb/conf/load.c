// SPDX-License-Identifier: MIT
// The phases of a load, in order: files -> tree -> bound structs -> verified references. All of
// them run whenever there is something to run on, so that one run shows all that is wrong. Called
// by commands and by the supervisor; pure but for struct config_source.
#include "conf/loader.h"

#include "conf/emit.h"
#include "conf/verify.h"

static void run(struct loaded *l, const struct config_source *source, struct findings *f)
{
    struct binder *b = &l->binder;
    l->files = (struct files){.arena = b->arena, .source = source, .findings = f};
    struct node *tree = files_load(&l->files);
    if (tree == NULL)
        return;
    b->source = source;
    b->findings = f;
    b->tree = tree;
    b->incomplete = l->files.incomplete;
    b->bounds.arena = b->files.arena = b->arena;
    b->root = arena_alloc(b->arena, sizeof(*b->root));
    b->root->config.arena = b->arena;
    b->root->config.files = l->files.first;
    bind_all(b);
    verify(b);
}

bool load_all(const struct config_source *source, struct findings *f, struct loaded *l)
{
    uint32_t errors = f->errors;
    lb_assert(source->read_file != NULL && source->read_live != NULL && source->glob != NULL &&
              source->list_live != NULL && source->env != NULL);
    *l = (struct loaded){0};
    l->binder.arena = arena_new();
    run(l, source, f);
    diag_sort(f);
    if (f->errors > errors || l->binder.root == NULL) {
        arena_free(l->binder.arena);
        *l = (struct loaded){0};
        return false;
    }
    return true;
}

struct config *config_load(const struct config_source *source, struct findings *f)
{
    struct loaded l;
    return load_all(source, f, &l) ? &l.binder.root->config : NULL;
}

struct str config_text_from_flags(struct arena *a, const char *listen, const char *const *to,
                                  size_t n)
{
    const char *text = arena_printf(a, "listen: %s\nservers:\n", emit_quoted(a, str_of(listen)));
    for (size_t i = 0; i < n; i++)
        text = arena_printf(a, "%s  - %s\n", text, emit_quoted(a, str_of(to[i])));
    return str_of(text);
}
