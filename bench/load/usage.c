/* What the server uses: CPU time and memory of its control group, or of its processes and their children. */
#include "load.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_num(const char *path, const char *key, double *v)
{
    FILE *f = fopen(path, "r");
    char line[256];
    bool ok = false;
    if (!f)
        return false;
    while (fgets(line, sizeof line, f)) {
        if (key && strncmp(line, key, strlen(key)))
            continue;
        *v = strtod(key ? line + strlen(key) : line, NULL);
        ok = true;
        break;
    }
    fclose(f);
    return ok;
}

struct pidlist {
    int *v, n, cap;
};
static void pid_add(struct pidlist *l, int p)
{
    for (int i = 0; i < l->n; i++)
        if (l->v[i] == p)
            return;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->v = xrealloc(l->v, sizeof(int) * (size_t)l->cap);
    }
    l->v[l->n++] = p;
}
/* the processes of the server: a cgroup's, or the given ones with all their
 * descendants */
static void server_pids(struct pidlist *l)
{
    char path[512];
    if (cfg.cgroup) {
        snprintf(path, sizeof path, "%s/cgroup.procs", cfg.cgroup);
        FILE *f = fopen(path, "r");
        int p;
        if (!f)
            return;
        while (fscanf(f, "%d", &p) == 1)
            pid_add(l, p);
        fclose(f);
        return;
    }
    if (!cfg.pids)
        return;
    for (const char *s = cfg.pids; *s;) {
        char *end;
        pid_add(l, (int)strtol(s, &end, 10));
        s = end == s ? s + 1 : end + strspn(end, ", ");
    }
    for (bool more = true; more;) {
        more = false;
        DIR *d = opendir("/proc");
        struct dirent *e;
        while (d && (e = readdir(d))) {
            int p = (int)strtol(e->d_name, NULL, 10), pp = 0;
            if (p <= 0)
                continue;
            snprintf(path, sizeof path, "/proc/%d/stat", p);
            FILE *f = fopen(path, "r");
            char b[512], *q;
            if (!f)
                continue;
            if (fgets(b, sizeof b, f) && (q = strrchr(b, ')')))
                sscanf(q + 1, " %*c %d", &pp);
            fclose(f);
            for (int i = 0, n = l->n; i < n; i++)
                if (l->v[i] == pp) {
                    pid_add(l, p);
                    if (l->n != n)
                        more = true;
                }
        }
        if (d)
            closedir(d);
    }
}

double server_cpu(void)
{
    char path[512];
    double v;
    if (cfg.cgroup) {
        snprintf(path, sizeof path, "%s/cpuacct.usage", cfg.cgroup);
        if (read_num(path, NULL, &v))
            return v / 1e9;
        snprintf(path, sizeof path, "%s/cpu.stat", cfg.cgroup);
        if (read_num(path, "usage_usec ", &v))
            return v / 1e6;
        return -1;
    }
    struct pidlist l = { 0 };
    server_pids(&l);
    if (!l.n)
        return -1;
    double t = 0;
    for (int i = 0; i < l.n; i++) {
        char b[1024], *q;
        snprintf(path, sizeof path, "/proc/%d/stat", l.v[i]);
        FILE *f = fopen(path, "r");
        if (!f)
            continue;
        unsigned long long ut, st, cut, cst;
        if (fgets(b, sizeof b, f) && (q = strrchr(b, ')')) &&
            sscanf(q + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu", &ut,
                &st, &cut, &cst) == 4)
            t += (double)(ut + st + cut + cst) / (double)sysconf(_SC_CLK_TCK);
        fclose(f);
    }
    free(l.v);
    return t;
}

struct memuse server_mem(void)
{
    struct memuse m = { 0 };
    struct pidlist l = { 0 };
    server_pids(&l);
    for (int i = 0; i < l.n; i++) {
        char path[512];
        double v;
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", l.v[i]);
        if (read_num(path, "Pss:", &v)) {
            m.pss += v;
            m.procs++;
        }
        FILE *f = fopen(path, "r");
        char line[256];
        while (f && fgets(line, sizeof line, f))
            if (!strncmp(line, "Private_Clean:", 14) || !strncmp(line, "Private_Dirty:", 14))
                m.uss += strtod(line + 14, NULL);
        if (f)
            fclose(f);
        snprintf(path, sizeof path, "/proc/%d/status", l.v[i]);
        if (read_num(path, "VmPTE:", &v))
            m.pte += v;
        if (read_num(path, "Threads:", &v))
            m.threads += (int)v;
    }
    free(l.v);
    return m;
}
