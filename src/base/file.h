/* Files by descriptor. Blocking. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/err.h"
#include "base/slice.h"

/* Writes all of it where the file stands, however often the system takes a part or is interrupted. On an error errno says why too. */
enum err MUST_USE file_write(int fd, struct slice bytes);

#endif
