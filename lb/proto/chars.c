// SPDX-License-Identifier: MIT
// The table behind chars.h. Constant; used by every parser of this folder, in workers and in the
// control process. Each range stands once: what the sixteen-byte scanners accept must be the same
// set (a unit test compares both over all byte values).
#include "proto/chars.h"

#define VISIBLE (CH_TARGET | CH_TEXT)
#define NAME (VISIBLE | CH_TOKEN)
#define NAME_HOST (NAME | CH_REGNAME)
#define ALNUM (NAME_HOST | CH_SIMPLE | CH_HOST | CH_UNRESERVED)

// clang-format off
const uint8_t char_class[256] = {
    [' '] = CH_TEXT,
    ['!'] = NAME_HOST,
    ['"'] = VISIBLE,
    ['#'] = CH_TEXT | CH_TOKEN,
    ['$'] = NAME_HOST,
    ['%'] = NAME,
    ['&' ... '\''] = NAME_HOST,
    ['(' ... ')'] = VISIBLE | CH_REGNAME,
    ['*' ... '+'] = NAME_HOST,
    [','] = VISIBLE,
    ['-'] = ALNUM,
    ['.'] = NAME_HOST | CH_HOST | CH_UNRESERVED,
    ['/'] = VISIBLE,
    ['0' ... '9'] = ALNUM | CH_DIGIT,
    [':'] = VISIBLE,
    [';'] = VISIBLE | CH_REGNAME,
    ['<'] = VISIBLE,
    ['='] = VISIBLE | CH_REGNAME,
    ['>' ... '@'] = VISIBLE,
    ['A' ... 'Z'] = ALNUM,
    ['[' ... ']'] = VISIBLE,
    ['^'] = NAME,
    ['_'] = NAME_HOST | CH_UNRESERVED,
    ['`'] = NAME,
    ['a' ... 'z'] = ALNUM,
    ['{'] = VISIBLE,
    ['|'] = NAME,
    ['}'] = VISIBLE,
    ['~'] = NAME_HOST | CH_UNRESERVED,
    [0x80 ... 0xff] = CH_TEXT,
};
// clang-format on
