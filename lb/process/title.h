// SPDX-License-Identifier: MIT
// What ps(1) and top(1) show: "evlb: worker 0".
#ifndef EVLB_TITLE_H
#define EVLB_TITLE_H

#include "base/base.h"

// Once, early, with what main() got: moves the environment away so that its room can be written.
// argv[] stays readable until title_set() is called.
void title_init(int argc, char **argv);
void title_set(const char *title);

#endif
