// SPDX-License-Identifier: MIT
// Digests and what logins are made of, from libcrypto; no OpenSSL type shows here (decision 0018).
// All return false when libcrypto refuses: MD5 in FIPS mode, a key it cannot read, no memory.
#ifndef EVLB_DIGEST_H
#define EVLB_DIGEST_H

#include "base/str.h"

#define MD5_BYTES 16
#define SHA1_BYTES 20
#define SHA256_BYTES 32
#define RSA_BYTES 512 // of the largest key taken: 4096 bits

// Each digests `a` followed by `b`, as if they were one.
bool digest_md5(struct str a, struct str b, uint8_t out[MD5_BYTES]) MUST_CHECK;
bool digest_sha1(struct str a, struct str b, uint8_t out[SHA1_BYTES]) MUST_CHECK;
bool digest_sha256(struct str a, struct str b, uint8_t out[SHA256_BYTES]) MUST_CHECK;

// RFC 2104, and PBKDF2 (RFC 8018) with HMAC-SHA-256; `rounds` is time: the caller limits it.
bool digest_hmac_sha256(struct str key, struct str text, uint8_t out[SHA256_BYTES]) MUST_CHECK;
bool digest_pbkdf2_sha256(struct str password, struct str salt, uint32_t rounds,
                          uint8_t out[SHA256_BYTES]) MUST_CHECK;

// Encrypts with the RSA public key of a PEM text, padded with OAEP and SHA-1. The padding is
// random.
bool digest_rsa_oaep(struct str pem, struct str text, uint8_t out[RSA_BYTES], size_t *n) MUST_CHECK;

#endif
