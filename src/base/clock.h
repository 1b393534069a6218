/* Time. Deadlines use the monotonic clock, so that a clock that jumps cannot hang or drop a session; dates use the wall. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
/* Seconds and milliseconds since 1970-01-01 UTC. */
int64_t clock_wall_s(void);
int64_t clock_wall_ms(void);

#endif
