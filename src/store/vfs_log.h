/* The log (WAL) of mail.db: what SQLite writes frame by frame, 24 bytes and a page, goes to the system in one piece for each transaction. Private to store/vfs.c.
 *
 * Always true: when the write of a transaction's last page has returned, all of its frames are with the system, as without this; an error of one of them is the
 * error of that write. What is no whole transaction yet (pages that did not fit SQLite's cache) is written before anything is read, synced or cut. */
#ifndef STORE_VFS_LOG_H
#define STORE_VFS_LOG_H

#include <sqlite3.h>

/* How much room a file needs besides that of the system's own. */
int store_vfs_log_bytes(void);
/* xOpen of a log; system opens the file itself. */
int store_vfs_log_open(
    sqlite3_vfs *system, const char *name, sqlite3_file *file, int flags, int *out_flags);

#endif
