#include "server/core/data_dir.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err data_dir_make(const struct config *config, struct err_note *note)
{
    const char *dir = config->data_dir;
    struct stat st;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_noted(note, err_from_errno(errno), "the data folder %s cannot be made: %s", dir,
            strerror(errno));
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_noted(note, ERR_IO, "%s is no folder", dir);
    if (st.st_mode & 077)
        return err_noted(
            note, ERR_DENIED, "others may look into %s; close it with: chmod 700 %s", dir, dir);
    if (geteuid() != 0 || !config->run_user[0])
        return ERR_OK;
    const struct passwd *pw = getpwnam(config->run_user);
    if (pw && st.st_uid != pw->pw_uid && st.st_uid == 0 && chown(dir, pw->pw_uid, pw->pw_gid) != 0)
        return err_noted(note, err_from_errno(errno), "%s cannot be given to %s: %s", dir,
            config->run_user, strerror(errno));
    return ERR_OK;
}
