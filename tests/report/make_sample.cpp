// SPDX-License-Identifier: Apache-2.0
// The rich fleet's export and the operator's list beside it. usage: report_make_sample DIRECTORY
// KEY.pem LIST.csv
#include <fstream>

#include "report/rich_fleet.hpp"

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const test::TestKey key;
  std::ofstream(arguments[2]) << key.audit_key().pem();
  test::rich_fleet().export_to(arguments[1], key, 50);
  std::ofstream(arguments[3]) << test::rich_list();
}
