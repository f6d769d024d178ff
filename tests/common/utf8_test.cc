#include "common/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace induct {
namespace {

TEST(IsUtf8, TakesWhatUnicodeTakes) {
  for (const std::string text : {"", "plain text of more than eight", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
                                 "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
    EXPECT_EQ(ReplaceInvalidUtf8(text), text);
  }
}

TEST(IsUtf8, RefusesOverlongFormsSurrogatesAndWhatIsCutShort) {
  for (const std::string text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                                 "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3",
                                 "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "eight ascii \xc3"}) {
    EXPECT_FALSE(IsUtf8(text));
  }
}

TEST(ReplaceInvalidUtf8, ReplacesEachByteThatBelongsToNoCharacter) {
  EXPECT_EQ(ReplaceInvalidUtf8("a\xff\xc3\xa9\xe2\x82"), "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(ReplaceInvalidUtf8("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Utf8Length, IsThatOfTheFirstCharacter) {
  EXPECT_EQ(Utf8Length("a\xc3\xa9"), 1u);
  EXPECT_EQ(Utf8Length("\xf0\x9f\x98\x80 and more"), 4u);
  EXPECT_EQ(Utf8Length(""), 0u);
  EXPECT_EQ(Utf8Length("\xa9"), 0u);
}

}  // namespace
}  // namespace induct
