// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/mapped_device.h"

#include <libdevmapper.h>
#include <syslog.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "core/refusal.h"

namespace dmremap::ctl {

namespace {

using Task = std::unique_ptr<dm_task, decltype(&dm_task_destroy)>;

constexpr std::size_t kNameMost = 127;  // DM_NAME_LEN without its NUL

// The first that the library complains of, which names the reason; it would print all of it itself.
std::string complaint;

[[gnu::format(printf, 5, 6)]] void keep_complaint(int level, const char* /*file*/, int /*line*/,
                                                  int /*error_or_class*/, const char* form, ...) {
    if ((level & LOG_PRIMASK) > LOG_WARNING) return;
    std::array<char, 512> text{};
    va_list values;
    va_start(values, form);
    (void)std::vsnprintf(text.data(), text.size(), form, values);
    va_end(values);
    if (complaint.empty()) complaint = text.data();
}

void require(bool good, const std::string& what) {
    if (!good)
        throw Refusal(RefusalKind::system,
                      what + ": " + (complaint.empty() ? std::strerror(errno) : complaint));
}

Task new_task(int kind) {
    Task task(dm_task_create(kind), &dm_task_destroy);
    require(task != nullptr, "device-mapper cannot be asked");
    return task;
}

// The library asks for the version already where a task is made.
void require_device_mapper() {
    const Task task(dm_task_create(DM_DEVICE_VERSION), &dm_task_destroy);
    if (!task || !dm_task_run(task.get()))
        throw Refusal(RefusalKind::refused,
                      "the kernel has no device-mapper, or this user may not use it (" + complaint +
                          "): be root, and modprobe dm-mod; without it mount.dmremapfs presents "
                          "the same pair");
}

bool exists(const std::string& name) {
    const Task task = new_task(DM_DEVICE_INFO);
    dm_info info{};
    require(dm_task_set_name(task.get(), name.c_str()) && dm_task_run(task.get()) &&
                dm_task_get_info(task.get(), &info),
            "device-mapper cannot say whether there is a device " + name);
    return info.exists != 0;
}

bool has_target(const std::string& type) {
    const Task task = new_task(DM_DEVICE_LIST_VERSIONS);
    if (!dm_task_run(task.get())) return false;
    const dm_versions* at = dm_task_get_versions(task.get());
    while (at) {
        if (type == at->name) return true;
        if (at->next == 0) break;
        at = reinterpret_cast<const dm_versions*>(reinterpret_cast<const char*>(at) + at->next);
    }
    return false;
}

// The kernel loads the module when it is asked for the target, where modprobe finds it.
[[noreturn]] void refuse_table(const MappedDevice& device) {
    const std::string said = complaint;
    if (!has_target(device.target))
        throw Refusal(RefusalKind::refused, "the kernel has no target " + device.target +
                                                ": load its module (modprobe " + device.target +
                                                "), or build it first (make kmod)");
    throw Refusal(RefusalKind::refused, "the kernel refused the table of " + device.name +
                                            "; why is at the end of its log, dmesg (" + said + ")");
}

}  // namespace

void check_mapped_name(const std::string& name) {
    if (name.empty() || name.size() > kNameMost || name.find('/') != std::string::npos ||
        name == "." || name == ".." || name == "control")
        throw Refusal(RefusalKind::usage,
                      "'" + name + "' is no name for a device-mapper device: 1 to " +
                          std::to_string(kNameMost) + " bytes without a slash, and not control");
}

void create_mapped_device(const MappedDevice& device) {
    complaint.clear();
    dm_log_with_errno_init(&keep_complaint);
    require_device_mapper();
    if (exists(device.name))
        throw Refusal(RefusalKind::busy, "there is a device-mapper device " + device.name +
                                             " already: take another name, or dmsetup remove " +
                                             device.name);
    complaint.clear();
    const Task task = new_task(DM_DEVICE_CREATE);
    std::uint32_t cookie = 0;
    require(dm_task_set_name(task.get(), device.name.c_str()) &&
                (!device.read_only || dm_task_set_ro(task.get())) &&
                dm_task_add_target(task.get(), 0, device.sectors, device.target.c_str(),
                                   device.parameters.c_str()) &&
                dm_task_set_cookie(task.get(), &cookie, 0),
            "the table of " + device.name + " cannot be made");
    const bool created = dm_task_run(task.get()) != 0;
    dm_udev_wait(cookie);  // its node is there then
    if (!created) refuse_table(device);
}

}  // namespace dmremap::ctl
