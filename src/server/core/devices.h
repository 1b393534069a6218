/* What devices did lately, on its way to directory.db: gathered in memory, written by a thread every few minutes, so that a login never waits for
 * the disk and each device is written once in that time, however often it comes. A crash forgets what was not written. */
#ifndef SERVER_CORE_DEVICES_H
#define SERVER_CORE_DEVICES_H

#include "auth/device.h"

struct devices;

/* Borrows the directory. Starts no thread. */
struct devices *devices_new(struct directory *directory);
void devices_start(struct devices *devices);
/* Ends the thread and writes what is there. Calling it again does nothing. */
void devices_stop(struct devices *devices);
void devices_free(struct devices *devices);

/* Waits for nothing. With DEVICE_USES_MAX others waiting to be written it is forgotten. */
void devices_note(struct devices *devices, const struct device_news *news);
/* Writes all that is there now; waits for the disk. A failure is logged, and what was to be written waits for the next time. */
enum err devices_write(struct devices *devices);

#endif
