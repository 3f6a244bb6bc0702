/* SPDX-License-Identifier: BSD-3-Clause
 *
 * zf_init and zf_deinit: log, EAL, what a process needs once.
 */
#include "stack/init.h"

#include <errno.h>
#include <pthread.h>

#include "core/attr.h"
#include "core/pool.h"
#include "stack/port.h"
#include "stack/stack.h"

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static bool done;

bool
init_done(void)
{
	bool d;

	pthread_mutex_lock(&init_lock);
	d = done;
	pthread_mutex_unlock(&init_lock);
	return d;
}

static int
init_locked(void)
{
	struct zf_attr *attr;
	int rc;

	if (done)
		return 0;
	rc = zf_attr_alloc(&attr);
	if (rc < 0)
		return rc;
	(void)log_init(&log_default, attr->name, (uint64_t)attr->log_level, (uint32_t)attr->log_format,
		       attr->log_file);
	zf_attr_free(attr);
	port_init();
	rc = eal_start();
	if (rc == 0)
		rc = pool_init(NULL);
	if (rc == 0)
		(void)share_init(NULL);
	done = rc == 0;
	if (!done)
		log_fini(&log_default);
	return rc;
}

ZF_EXPORT int
zf_init(void)
{
	int rc;

	pthread_mutex_lock(&init_lock);
	rc = init_locked();
	pthread_mutex_unlock(&init_lock);
	return rc;
}

ZF_EXPORT int
zf_deinit(void)
{
	pthread_mutex_lock(&init_lock);
	if (done) {
		(void)pool_reap();
		log_fini(&log_default);
	}
	done = false;
	pthread_mutex_unlock(&init_lock);
	return 0;
}
