/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target is one function over any bytes that ends the process when a
 * promise is broken.  libFuzzer calls it (`make fuzzers`), and so does
 * replay.c in `make check`, with the files of corpus/<target>.
 */
#ifndef CF_TESTS_FUZZ_FUZZ_H
#define CF_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, \
			    __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

#endif
