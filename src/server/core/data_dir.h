/* The data folder: made by whichever of server and command line comes first, the same way. */
#ifndef SERVER_CORE_DATA_DIR_H
#define SERVER_CORE_DATA_DIR_H

#include "server/core/config.h"

/* Makes config->data_dir (0700) when it is missing and, as root, gives a folder that is root's to server.user. ERR_DENIED when group or others
 * may look into it: nothing secret is put there. note has the sentence for the person. */
enum err MUST_USE data_dir_make(const struct config *config, struct err_note *note);

#endif
