/* What mbsync and offlineimap left (adopt.c has the rules). Part of a run; blocking. */
#ifndef SYNC_ADOPT_H
#define SYNC_ADOPT_H

#include "sync/sync_int.h"

/* A folder that has another name here because one of them made it: it is the server's folder under that name. Before anything is read. */
enum err MUST_USE sync_adopt_names(struct sync_run *run);
/* Writes the rows of folders that have none and were synchronised by one of them. After sync_folders, before sync_gather_far. */
enum err MUST_USE sync_adopt(struct sync_run *run);

#endif
