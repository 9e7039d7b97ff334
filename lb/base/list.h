// SPDX-License-Identifier: MIT
// Intrusive doubly linked list. A node is in at most one list; a node that is in none points to
// itself, so list_remove() may be called on it at any time.
//
//      head <-> a.node <-> b.node <-> head
#ifndef EVLB_LIST_H
#define EVLB_LIST_H

#include "base/base.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert(struct list *node, struct list *prev, struct list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

// Adds at the end; list_pop_first() then gives first in, first out.
static inline void list_append(struct list *head, struct list *node)
{
    list_insert(node, head->prev, head);
}

static inline void list_prepend(struct list *head, struct list *node)
{
    list_insert(node, head, head->next);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

// Takes the first node out, or NULL when the list is empty.
static inline struct list *list_pop_first(struct list *head)
{
    struct list *first = head->next;
    if (first == head)
        return NULL;
    list_remove(first);
    return first;
}

// Moves all of `from` to the end of `to`.
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)

// The body may remove `it` (but no other node).
#define LIST_EACH(it, head)                                                                        \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)

#endif
