// SPDX-License-Identifier: MIT
// Open-addressed hash map with linear probing over an arena. Used while a configuration is read
// and by look-ups in the published one. No removal: a configuration only grows until it is freed.
#include "base/map.h"

#include "base/hash.h"

static struct map_slot *find_slot(struct map_slot *slots, size_t cap, struct str key)
{
    size_t i = hash_bytes(key.p, key.len, 0) & (cap - 1);
    while (slots[i].value != NULL && !str_eq(slots[i].key, key))
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

void *map_get(const struct map *m, struct str key)
{
    return m->cap > 0 ? find_slot(m->slots, m->cap, key)->value : NULL;
}

static void grow(struct map *m)
{
    size_t cap = m->cap > 0 ? m->cap * 2 : 16;
    struct map_slot *slots = arena_alloc(m->arena, cap * sizeof(*slots));
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].value != NULL)
            *find_slot(slots, cap, m->slots[i].key) = m->slots[i];
    }
    m->slots = slots;
    m->cap = cap;
}

void map_put(struct map *m, struct str key, void *value)
{
    lb_assert(value != NULL);
    if (m->count * 4 >= m->cap * 3)
        grow(m);
    struct map_slot *slot = find_slot(m->slots, m->cap, key);
    if (slot->value == NULL)
        m->count++;
    *slot = (struct map_slot){key, value};
}
