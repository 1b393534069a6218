/* Folders by descriptor: no path that somebody may have changed meanwhile is followed. Blocking. */
#ifndef BASE_DIR_H
#define BASE_DIR_H

#include "base/err.h"

#include <dirent.h>

#define DIR_DEPTH_MAX 8 /* folders in folders; more is an error */

/* To be read with readdir and closed with closedir; ERR_NOT_FOUND; ERR_DENIED: it is no folder, or a symbolic link to one. */
enum err MUST_USE dir_open(int parent_fd, const char *name, DIR **out_dir);
/* Deletes what is in a folder, and in folders below it; the folder itself stays. Goes on after an error and returns one of them. */
enum err MUST_USE dir_empty(int parent_fd, const char *name);
/* Deletes a folder and all that is in it; ERR_OK when there is none. */
enum err MUST_USE dir_remove(int parent_fd, const char *name);

/* mkdir, 0700, durable: a new folder is there after a power cut only when the one it is in is synced. One that may not be read is left to the system. ERR_OK when it is there;
 * ERR_DENIED, ERR_IO, ... with errno. */
enum err MUST_USE dir_make(const char *path);
/* The same for a folder and those above it that are missing. */
enum err MUST_USE dir_make_path(const char *path);

#endif
