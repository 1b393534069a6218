/* Random bytes from the kernel (getrandom). Never fails: a system without randomness aborts. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *out, size_t len);
/* Uniform in 0 .. below-1; below > 0. */
uint32_t rand_below(uint32_t below);

#endif
