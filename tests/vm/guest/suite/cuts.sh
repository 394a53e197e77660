# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# Proves that the target, too, opens what the power cuts of suite powercut left, and reads what the
# core read there. Runs in a boot of its own behind that suite.
modules ext4
check 'P3 what power cuts left opens, and reads as the core reads it' cases_agree cut 1
