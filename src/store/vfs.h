/* Pages of mail.db that know whether they are whole: a SQLite VFS that puts a checksum into the last bytes of each page it writes and compares it on
 * each read, so that what a disk changed is an error and not somebody's mail. Private to store/.
 *
 * The log (WAL) has checksums of SQLite's own, and its pages get theirs when a checkpoint copies them. */
#ifndef STORE_VFS_H
#define STORE_VFS_H

#include "base/err.h"
#include "base/slice.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* By measurement: docs/decisions/0002-sqlite-settings.md */
#define STORE_PAGE_BYTES          8192
#define STORE_PAGE_CHECKSUM_BYTES 8

/* The name to open a database with. Thread-safe. A page that does not fit its checksum reads as SQLITE_IOERR_DATA. */
const char *store_vfs(void);

/* Whose pages they are: one of another account's does not pass. Right after the opening. */
void store_vfs_owner(sqlite3 *db, struct slice id);
/* false: pages are read as they are. For the one who repairs. Returns what it was before. */
bool store_vfs_verify(sqlite3 *db, bool verify);

typedef void store_page_fn(void *arg, uint32_t page);
/* Looks at each page that the file has; tell (may be NULL) is called for each damaged one, which is counted and with bless gets the checksum of what it holds. A page of zeros passes:
 * SQLite may leave one unwritten, and reading one that counts is refused. The log must be empty (a checkpoint went before). The file is synced after
 * a blessing. ERR_IO. */
enum err MUST_USE store_vfs_scan(
    sqlite3 *db, bool bless, store_page_fn *tell, void *tell_arg, uint64_t *out_damaged);
/* How many pages the file has, a part counting as one. With keep_max, what lies behind so many goes. ERR_IO. */
enum err MUST_USE store_vfs_pages(sqlite3 *db, uint64_t keep_max, uint64_t *out_pages);

#endif
