/* What backup and restore share. */
#ifndef BIN_VERB_BACKUP_INT_H
#define BIN_VERB_BACKUP_INT_H

#include <stdbool.h>

#define BACKUP_NAME_BYTES sizeof "2026-11-26T15-04-05Z"

/* The name of the latest backup in a folder of backups. False: there is none. */
bool backup_newest(const char *folder, char *out_name);

#endif
