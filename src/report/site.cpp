// SPDX-License-Identifier: Apache-2.0
#include "report/site.hpp"

#include <sstream>

#include "smets1kms/errors.hpp"

namespace smets1kms::report {

using html::escape;
using html::page_name;

std::filesystem::path beside(const std::filesystem::path& file, const std::string& ending) {
  return file.parent_path() / (file.stem().string() + ending);
}

Site::Site(const std::filesystem::path& html, bool paged, std::string title, std::string banner)
    : report_(html.filename()),
      directory_(beside(html, "-devices")),
      paged_(paged),
      title_(std::move(title)),
      banner_(std::move(banner)) {
  if (!paged_) {
    aside_ = audit::open_temporary();
    return;
  }
  if (!make_directory(directory_))
    throw BadInput(directory_.string() +
                   ": the pages of devices can't be made there: it is there already; name another "
                   "--html");
  index_ = create_text_file(directory_ / "index.html");
  html::begin_page(index_, title_ + ": all devices", banner_);
  index_ << "<h1>All devices</h1>\n<p><a href=\"../" << escape(report_.string())
         << "\">The report</a></p>\n";
  index_ << html::table_begin("Pages of devices, in their order",
                              std::array<std::string_view, 2>{"Page", "From"});
}

Site::~Site() {
  std::error_code error;
  if (paged_ && !kept_) std::filesystem::remove_all(directory_, error);
}

void Site::refuse() const {
  throw BadInput(directory_.string() + ": its pages can't be written (is the disk full?)");
}

void Site::close(const std::string& kind, Pages& pages, bool last) {
  if (kind != html::home_kind) *pages.out << "</ul>\n";
  if (!last)
    *pages.out << "<p><a href=\"" << page_name(kind, pages.entries / per_page + 1)
               << "\">Next page</a></p>\n";
  html::end_page(*pages.out);
  pages.out->close();
  if (!*pages.out) refuse();
}

std::ostream& Site::page_for(const std::string& kind, const std::string& title) {
  Pages& pages = pages_[kind];
  if (pages.entries % per_page == 0) {
    if (pages.out) close(kind, pages, false);
    const auto number = pages.entries / per_page + 1;
    pages.out =
        std::make_unique<std::ofstream>(create_text_file(directory_ / page_name(kind, number)));
    html::begin_page(*pages.out, title_ + ": " + title + ", page " + std::to_string(number),
                     banner_);
    *pages.out << "<h1>" << escape(title) << ", page " << number << "</h1>\n<p><a href=\"../"
               << escape(report_.string()) << "\">The report</a>";
    if (number > 1)
      *pages.out << ", <a href=\"" << page_name(kind, number - 1) << "\">previous page</a>";
    *pages.out << "</p>\n";
    *pages.out << (kind == html::home_kind ? "<h2>Devices</h2>\n" : "<ul class=\"ids\">\n");
  }
  ++pages.entries;
  return *pages.out;
}

void Site::add(const Device& device, const PageRef& place, Lookup& lookup) {
  ++devices_;
  if (paged_) {
    if (devices_ % per_page == 1)
      index_ << "<tr><td><a href=\"" << page_name(html::home_kind, place.page) << "\">"
             << page_name(html::home_kind, place.page) << "</a></td><td class=\"id\">"
             << device.name() << "</td></tr>\n";
    // Requesters are looked up for breach cases alone; for millions of records it would take longer
    // than everything else.
    html::write_device(page_for(std::string(html::home_kind), "Devices and their records"), device,
                       place, nullptr);
    return;
  }
  std::ostringstream text;
  html::write_device(text, device, place, &lookup);
  const auto bytes = std::move(text).str();
  if (std::fwrite(bytes.data(), 1, bytes.size(), aside_.get()) != bytes.size()) audit::no_room();
}

void Site::list(const std::string& slug, const std::string& title, const PageRef& place) {
  if (paged_) page_for(slug, title) << "<li>" << html::Links("").device(place) << "</li>\n";
}

void Site::finish() {
  if (!paged_) return;
  for (auto& [kind, pages] : pages_) close(kind, pages, true);
  index_ << html::table_end;
  html::end_page(index_);
  index_.close();
  if (!index_) refuse();
}

void Site::write_devices(std::ostream& out) {
  if (!aside_) return;
  std::rewind(aside_.get());
  std::array<char, 65536> block{};
  for (std::size_t count = 0;
       (count = std::fread(block.data(), 1, block.size(), aside_.get())) != 0;)
    out.write(block.data(), static_cast<std::streamsize>(count));
}

void Site::keep() { kept_ = true; }

}  // namespace smets1kms::report
