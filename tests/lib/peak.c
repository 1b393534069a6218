/* Preloaded: as the program ends, the most memory that it had (KiB) goes into the file that PEAK_FILE names. wait4 cannot tell: for it a process begins
 * with the peak of the one that started it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((destructor)) static void tell(void)
{
    char status[4096];
    const char *name = getenv("PEAK_FILE"), *line;
    int from = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t len = from < 0 ? -1 : read(from, status, sizeof status - 1);
    int to = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (len < 0 || to < 0)
        return;
    status[len] = '\0';
    line = strstr(status, "VmHWM:");
    if (line && write(to, line, strcspn(line, "\n")) < 0)
        abort();
}
