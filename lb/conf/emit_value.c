// SPDX-License-Identifier: MIT
// Values of rows as a file would write them. Called by `explain` and by what compares
// configurations.
#include "conf/emit.h"

#define READ(type, row, target)                                                                    \
    (*(type const *)(const void *)((const char *)(target) + (row)->offset))
#define READ_COUNT(row, target)                                                                    \
    (*(uint32_t const *)(const void *)((const char *)(target) + (row)->count_offset))

static const char *nets_text(struct arena *a, const struct row *row, const void *target)
{
    const struct cidr *nets = READ(const struct cidr *, row, target);
    uint32_t n = READ_COUNT(row, target);
    const char *list = "";
    for (uint32_t i = 0; i < n; i++) {
        char ip[ADDR_TEXT];
        ip_format(&nets[i].ip, ip);
        list = arena_printf(a, "%s%s\"%s/%u\"", list, i > 0 ? ", " : "", ip, nets[i].bits);
    }
    return arena_printf(a, "[%s]", list);
}

static const char *retry_text(struct arena *a, const struct row *row, uint32_t bits)
{
    const char *list = "";
    for (uint32_t i = 0; row->words[i] != NULL; i++) {
        if ((bits >> i & 1) != 0)
            list = arena_printf(a, "%s%s%s", list, list[0] != '\0' ? ", " : "", row->words[i]);
    }
    return arena_printf(a, "[%s]", list);
}

static const char *ip_text(struct arena *a, const struct addr *addr)
{
    char ip[ADDR_TEXT];
    if (addr->len == 0)
        return NULL;
    ip_format(&addr->ip, ip);
    return emit_scalar(a, str_of(ip));
}

static const char *dns_servers_text(struct arena *a, const struct dns *dns)
{
    const char *list = "";
    char text[ADDR_TEXT];
    for (uint32_t i = 0; i < dns->n_servers; i++) {
        addr_format(&dns->servers[i], text);
        list = arena_printf(a, "%s%s%s", list, i > 0 ? ", " : "", emit_scalar(a, str_of(text)));
    }
    return dns->n_servers > 0 ? arena_printf(a, "[%s]", list) : NULL;
}

static const char *field_text(struct arena *a, const struct field_pair *f)
{
    if (f->name.len == 0 || f->value.len == 0)
        return f->name.len > 0 ? emit_scalar(a, f->name) : NULL;
    return emit_scalar(a,
                       str_of(arena_printf(a, "%.*s: %.*s", STR_FMT(f->name), STR_FMT(f->value))));
}

static const char *field_map_text(struct arena *a, const struct field_pair *f, uint32_t n)
{
    const char *list = "";
    for (uint32_t i = 0; i < n; i++)
        list = arena_printf(a, "%s%s%s: %s", list, i > 0 ? ", " : "", emit_scalar(a, f[i].name),
                            emit_scalar(a, f[i].value));
    return n > 0 ? arena_printf(a, "{%s}", list) : NULL;
}

static const char *certs_text(struct arena *a, const struct tls *tls)
{
    const char *list = "";
    for (uint32_t i = 0; i < tls->n_certs; i++)
        list = arena_printf(a, "%s%s%s", list, i > 0 ? ", " : "",
                            emit_scalar(a, str_of(tls->certs[i].pem.file)));
    return arena_printf(a, "[%s]", list);
}

static const char *cert_text(struct arena *a, const struct certificate *cert)
{
    return cert != NULL ? emit_scalar(a, str_of(cert->pem.file)) : NULL;
}

static const char *names_text(struct arena *a, const struct str *names, uint32_t n)
{
    const char *list = "";
    for (uint32_t i = 0; i < n; i++)
        list = arena_printf(a, "%s%s%s", list, i > 0 ? ", " : "", emit_scalar(a, names[i]));
    return n > 0 ? arena_printf(a, "[%s]", list) : NULL;
}

bool emit_acts(struct arena *a, const struct object *o, const struct row *row, const void *target)
{
    return row->needs == NULL || emit_value(a, schema_row(o, str_of(row->needs)), target) != NULL;
}

const char *emit_map(struct arena *a, const struct object *o, const void *target)
{
    const char *list = "";
    for (size_t i = 0; i < o->n_rows; i++) {
        const struct row *row = &o->rows[i];
        const char *value = emit_acts(a, o, row, target) ? emit_value(a, row, target) : NULL;
        if (value != NULL)
            list =
                arena_printf(a, "%s%s%s: %s", list, list[0] != '\0' ? ", " : "", row->key, value);
    }
    return arena_printf(a, "{%s}", list);
}

const char *emit_value(struct arena *a, const struct row *row, const void *target)
{
    struct str s;
    switch ((int)row->type) {
    case VALUE_BOOL:
        return READ(bool, row, target) ? "true" : "false";
    case VALUE_U16:
        return emit_number(a, row, READ(uint16_t, row, target));
    case VALUE_U32:
    case VALUE_DURATION:
    case VALUE_SIZE:
        return emit_number(a, row,
                           READ(uint32_t, row, target) *
                               ((row->flags & ROW_SECONDS) != 0 ? UINT64_C(1000) : 1));
    case VALUE_ENUM:
        return row->words[READ(uint32_t, row, target)];
    case VALUE_FIXED:
        return row->words[0];
    case VALUE_TEXT:
    case VALUE_PATH:
    case VALUE_DIRECTORY:
    case VALUE_ACCOUNT:
    case VALUE_METHOD:
    case VALUE_TARGET:
    case VALUE_LINE:
    case VALUE_TICKET_KEYS: // the path
    case VALUE_SERVER_NAME:
        s = READ(struct str, row, target);
        if (s.len > 0 && (row->flags & ROW_SECRET) != 0)
            return EMIT_SECRET;
        return s.len > 0 ? emit_scalar(a, s) : NULL;
    case VALUE_NETS:
        return nets_text(a, row, target);
    case VALUE_RETRY_ON:
        return retry_text(a, row, READ(uint32_t, row, target));
    case VALUE_IP:
        return ip_text(a, &READ(struct addr, row, target));
    case VALUE_DNS_SERVERS:
        return dns_servers_text(a, target);
    case VALUE_CERTS:
        return certs_text(a, target);
    case VALUE_CLIENT_CERT:
    case VALUE_CHECK_CERT:
        return cert_text(a, READ(const struct certificate *, row, target));
    case VALUE_PEM_FILE:
        s = str_of(READ(struct pem_file, row, target).file);
        return s.len > 0 ? emit_scalar(a, s) : NULL;
    case VALUE_ALPN:
        return names_text(a, READ(const struct str *, row, target), READ_COUNT(row, target));
    case VALUE_FIELD:
        return field_text(a, &READ(struct field_pair, row, target));
    case VALUE_FIELDS:
        return field_map_text(a, READ(const struct field_pair *, row, target),
                              READ_COUNT(row, target));
    case VALUE_OBJECT: // behind a pointer; others are shown row by row
        if ((row->flags & ROW_POINTER) == 0 || READ(const void *, row, target) == NULL)
            return NULL;
        return emit_map(a, row->object, READ(const void *, row, target));
    default:
        return NULL;
    }
}
