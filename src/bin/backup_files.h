/* Files of a backup: copied whole, or linked where an earlier backup has the same. Blocking; every copy is complete or an error. */
#ifndef BIN_BACKUP_FILES_H
#define BIN_BACKUP_FILES_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Copies a file to a name that is not there yet; *bytes grows by its size. ERR_NOT_FOUND, ERR_EXISTS, ERR_NO_SPACE, ERR_IO. */
enum err MUST_USE backup_copy_file(int from_dir, int to_dir, const char *name, uint64_t *bytes);
/* The files in folder `big` that both sides have: those that old_dir (-1: none) has in the same size become links, the others copies. *out_unread: how many the disk did not
 * give; the others are copied all the same. */
enum err MUST_USE backup_copy_big(
    int from_dir, int old_dir, int to_dir, uint64_t *bytes, size_t *out_unread);
/* mail.db and big/ of an account: links of what an earlier backup has. */
enum err MUST_USE backup_link_account(int old_dir, int to_dir);
/* As root: gives what lies in the data folder at path ("." is all of it), and all below that, to whoever owns the data folder. */
enum err MUST_USE backup_give_tree(const char *data_dir, const char *path);
/* The same of one account, and of the files and folders that stand at the top: all that opening it can have made. */
enum err MUST_USE backup_give_account(const char *data_dir, const char *id);

#endif
