// SPDX-License-Identifier: MIT
// libFuzzer target for heads. First byte: request or response, to which method. The rest is parsed
// in one piece and in two, split where the second byte says: the verdict must be the same, and
// every slice must lie inside the input.
#include "proto/h1_head.h"
#include "proto/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = {.head_bytes = 4096, .fields = 64, .uri_bytes = 512};
static struct http_head one, two;

static enum h1_result parse(unsigned kind, struct h1_scan *scan, struct str in,
                            struct http_head *out, enum http_error *e)
{
    if (kind == 0)
        return h1_parse_request(scan, in.p, in.len, &limits, out, e);
    return h1_parse_response(scan, in.p, in.len, &limits, (enum http_method)kind, out, e);
}

static void check_inside(struct str in, struct str s)
{
    static const char ours[] = "/*"; // "/" and "*" stand in for an empty path
    lb_assert(s.len == 0 || (s.p >= in.p && s.p + s.len <= in.p + in.len) ||
              (s.len == 1 && memchr(ours, s.p[0], 2) != NULL));
}

static void check_head(struct str in, unsigned kind, const struct http_head *h)
{
    char host[256], path[600];
    size_t n;
    lb_assert(h->bytes <= in.len && h->bytes <= limits.head_bytes);
    lb_assert(memcmp(in.p + h->bytes - 4, "\r\n\r\n", 4) == 0);
    check_inside(in, h->authority);
    check_inside(in, h->path);
    check_inside(in, h->reason);
    lb_assert(kind == 0 ? h->framing != BODY_UNTIL_CLOSE : h->status >= 100 && h->status <= 599);
    if (kind == 0 && h->authority.len > 0 && h->authority.len < sizeof(host))
        lb_assert(uri_host(h->authority, host, sizeof(host), &n) && n > 0);
    if (h->path.len > 0 && uri_normalise(h->path, path, sizeof(path), &n))
        lb_assert(n >= 1 && n <= h->path.len && path[0] == '/');
    for (uint32_t i = 0; i < h->n_fields; i++) {
        const struct http_field *f = &h->fields[i];
        check_inside(in, f->line);
        lb_assert(http_is_token(f->name) && f->id == http_field_id(f->name));
        lb_assert(f->name.p == f->line.p && f->value.p > f->name.p + f->name.len);
        lb_assert(f->value.p + f->value.len <= f->line.p + f->line.len - 2);
        lb_assert(str_ends(f->line, STR("\r\n")) && f->line.p + f->line.len <= in.p + h->bytes);
        for (size_t k = 0; k < f->value.len; k++)
            lb_assert((unsigned char)f->value.p[k] >= 0x20 || f->value.p[k] == '\t');
    }
}

static void check_same(const struct http_head *a, const struct http_head *b)
{
    lb_assert(a->bytes == b->bytes && a->n_fields == b->n_fields && a->framing == b->framing);
    lb_assert(a->content_length == b->content_length && a->keep_alive == b->keep_alive);
    lb_assert(a->status == b->status && a->method == b->method && str_eq(a->path, b->path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static const unsigned kinds[] = {0, HTTP_GET, HTTP_HEAD, HTTP_CONNECT};
    unsigned kind = kinds[data[0] % 4];
    struct str in = {(const char *)data + 2, size - 2};
    struct str first = {in.p, data[1] * in.len / 256};
    enum http_error e = HTTP_OK, f = HTTP_OK;
    struct h1_scan whole = {0}, split = {0};
    enum h1_result r = parse(kind, &whole, in, &one, &e);
    enum h1_result s = parse(kind, &split, first, &two, &f);
    if (s == H1_MORE)
        s = parse(kind, &split, in, &two, &f);
    lb_assert((s == H1_MORE && r == H1_BAD) || s == r); // rubbish may be seen later, not otherwise
    lb_assert(s != H1_BAD || e == f);
    if (r == H1_DONE) {
        check_head(in, kind, &one);
        check_same(&one, &two);
    }
    return 0;
}
