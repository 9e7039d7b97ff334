// SPDX-License-Identifier: MIT
// libFuzzer target for PROXY headers: no shorter input may be taken for a header, a verdict once
// given does not change with more bytes, and what was read is read again from what we write.
#include "proto/proxy_hdr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum proxy_result parse(const uint8_t *data, size_t n, struct proxy_hdr *out)
{
    char *copy = malloc(n > 0 ? n : 1);
    lb_assert(copy != NULL);
    memcpy(copy, data, n);
    enum proxy_result r = proxy_hdr_parse(copy, n, out);
    free(copy);
    return r;
}

static void check_written(int version, const struct proxy_hdr *h, const struct proxy_tls *tls)
{
    char text[PROXY_OUT_MAX];
    struct proxy_hdr back;
    size_t n = proxy_hdr_format(version, &h->src, &h->dst, tls, text);
    lb_assert(proxy_hdr_parse(text, n, &back) == PROXY_DONE && back.bytes == n);
    const void *a, *b;
    size_t from = ip_bytes(&h->src, &a), to = ip_bytes(&h->dst, &b);
    lb_assert(back.local == (from != to));
    if (back.local)
        return;
    lb_assert(ip_port(&h->src) == ip_port(&back.src) && ip_port(&h->dst) == ip_port(&back.dst));
    lb_assert(ip_bytes(&back.src, &b) == from && memcmp(a, b, from) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_hdr whole, part;
    enum proxy_result r = parse(data, size, &whole);
    for (size_t n = 0; n < MIN_OF(size, (size_t)300); n++) {
        enum proxy_result p = parse(data, n, &part);
        lb_assert(p == PROXY_MORE || p == r);
        lb_assert(p != PROXY_DONE || part.bytes == whole.bytes);
    }
    if (r != PROXY_DONE)
        return 0;
    lb_assert(whole.bytes <= size && whole.bytes >= 15);
    lb_assert(whole.local == (whole.src.sa.sa_family == 0));
    if (!whole.local) {
        const struct str any = {(const char *)data, size};
        const struct proxy_tls tls = {any, any, any, any, true, any};
        check_written(1, &whole, NULL);
        check_written(2, &whole, NULL);
        check_written(2, &whole, &tls);
    }
    return 0;
}
