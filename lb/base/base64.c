// SPDX-License-Identifier: MIT
// Base64 in both directions. Pure; used by logins that carry digests as text
// (proto/dialogue_postgres.c). Reading accepts exactly what writing makes: the padding must be
// there, the bits behind the last byte must be 0, and nothing is skipped.
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const void *bytes, size_t n, char *out)
{
    const uint8_t *in = bytes;
    size_t len = 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t have = MIN_OF(n - i, (size_t)3);
        uint32_t v = (uint32_t)in[i] << 16;
        if (have > 1)
            v |= (uint32_t)in[i + 1] << 8;
        if (have > 2)
            v |= in[i + 2];
        for (size_t k = 0; k < 4; k++)
            out[len++] = k <= have ? alphabet[v >> (18 - 6 * k) & 63] : '=';
    }
    return len;
}

// The four characters at `p`, of which the last `pad` are padding. False: none of the alphabet.
static bool group(const char *p, size_t pad, uint32_t *v)
{
    *v = 0;
    for (size_t k = 0; k < 4 - pad; k++) {
        const char *at = p[k] != '\0' ? strchr(alphabet, p[k]) : NULL;
        if (at == NULL)
            return false;
        *v |= (uint32_t)(at - alphabet) << (18 - 6 * k);
    }
    return (*v & ((1u << (8 * pad)) - 1)) == 0;
}

bool base64_decode(struct str text, uint8_t *out, size_t size, size_t *n)
{
    *n = 0;
    if (text.len % 4 != 0)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        const char *p = text.p + i;
        bool last = i + 4 == text.len;
        size_t pad = last && p[3] == '=' ? 1 + (p[2] == '=') : 0;
        uint32_t v;
        if (!group(p, pad, &v) || size - *n < 3 - pad)
            return false;
        for (size_t k = 0; k < 3 - pad; k++)
            out[(*n)++] = (uint8_t)(v >> (16 - 8 * k));
    }
    return true;
}
