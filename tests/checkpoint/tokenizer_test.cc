#include "server/checkpoint/tokenizer.h"

#include <chrono>
#include <set>
#include <thread>

#include "common/atomic_file.h"
#include "server/checkpoint/normalizer.h"
#include "server/checkpoint/unicode.h"
#include "tests/checkpoint/checkpoint_files.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;
using testing::ElementsAre;

std::string DataText(const std::string& file) {
  const auto text = ReadFile(std::string(INDUCT_SOURCE_DIR) + "/tests/checkpoint/data/" + file);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

json Document() { return json::parse(DataText("neox.json")); }

std::unique_ptr<Tokenizer> Load(const std::string& file) {
  auto tokenizer = Tokenizer::Parse(DataText(file));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

// Parses the NeoX document with the value at `pointer` replaced.
absl::Status ParseWith(const std::string& pointer, const json& value) {
  json document = Document();
  document[json::json_pointer(pointer)] = value;
  return Tokenizer::Parse(document.dump()).status();
}

TEST(Tokenizer, NamesWhatItDoesNotSupport) {
  for (const char* model : {"Unigram", "WordPiece", "WordLevel"}) {
    ExpectUnsupported(ParseWith("/model/type", model), std::string("'") + model + "'");
  }
  ExpectUnsupported(ParseWith("/normalizer", {{"type", "NFKC"}}), "'NFKC'");
  ExpectUnsupported(
      ParseWith("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}}),
      "'Lowercase'");
  ExpectUnsupported(ParseWith("/pre_tokenizer", {{"type", "Whitespace"}}), "'Whitespace'");
  ExpectUnsupported(ParseWith("/pre_tokenizer", nullptr), "pre_tokenizer");
  ExpectUnsupported(ParseWith("/decoder", {{"type", "Metaspace"}}), "'Metaspace'");
  ExpectUnsupported(ParseWith("/post_processor", {{"type", "BertProcessing"}}), "'BertProcessing'");
  ExpectUnsupported(ParseWith("/post_processor", {{"type", "RobertaProcessing"}}), "'RobertaProcessing'");
  json unigram = Document();
  unigram["model"] = {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", {{"<unk>", 0.0}, {"a", -1.5}}}};
  ExpectUnsupported(Tokenizer::Parse(unigram.dump()).status(), "'Unigram'");
  ExpectUnsupported(ParseWith("/model/byte_fallback", true), "byte_fallback");
  ExpectUnsupported(ParseWith("/model/dropout", 0.1), "dropout");
  ExpectUnsupported(ParseWith("/model/continuing_subword_prefix", "##"), "continuing_subword_prefix");
  ExpectUnsupported(ParseWith("/model/end_of_word_suffix", "</w>"), "end_of_word_suffix");
  ExpectUnsupported(ParseWith("/added_tokens/0/content", std::string(513, 'x')), "added_tokens[0]");
}

// The NeoX document with a Split by `regex` before ByteLevel.
absl::Status ParseWithRegex(const std::string& regex) {
  const json split = {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}};
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return ParseWith("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}});
}

TEST(Tokenizer, NamesWhatItDoesNotSupportInARegularExpression) {
  EXPECT_TRUE(ParseWithRegex(R"(\p{L}+|[^\s\p{L}]+|\s+)").ok());
  const std::pair<const char*, const char*> kRefused[] = {
      {R"(a\w)", R"('\\w' at byte 1)"},
      {R"(\bx)", R"('\\b')"},
      {R"((a)\1)", R"('\\1')"},
      {"^a", "'^'"},
      {"a$", "'$'"},
      {R"(\p{Han})", "property 'Han'"},
      {R"(\p{^L})", "property '^L'"},
      {"[a[bc]]", "a class within a class"},
      {"[a&&b]", "'&&'"},
      {R"([^\P{L}])", "a negated set within a class"},
      {"[]a]", "']' as the first"},
      {"[a", "a class that is not closed"},
      {R"([\s-z])", "a range that begins with a set"},
      {R"([a-\s])", "a range that ends with a set"},
      {"(?i)a", "'(?i'"},
      {"(?<name>a)", "'(?<'"},
      {"(?#note)a", "'(?#'"},
      {"(?i:[a])", "a class of one letter"},
      {"(?i:[^ab])", "a negated one, where case"},
      {"(?i:[a\u00e9])", "all but ASCII"},
      {R"(a|(?i:[a\s]))", "all but ASCII"},
      {"(?i:\u00e9)", "all but ASCII"},
      {"(?i:ss)", "'ss' where case"},
      {"(?i:s{2})", "'{'"},
      {"a{1,2}+", "'+'"},
      {"a**", "'*'"},
      {"a{,}", "'{'"},
      {"*a", "'*'"},
      {"(?:a?|b)+c", "a repeated group that may match the empty text"},
      {"(?:(?=a)|bc*){2}", "a repeated group that may"},
      {"(?:(?:ab*)?)*a", "a repeated group that may"},
      {"(?=a)?b", "'?'"},
      {"(a", "a group that is not closed"},
      {"a)", "')' without a group"},
      {R"(\x41)", "'\\x' without braces"},
      {R"(\x{110000})", "a code point that is none"},
      {R"(\ud800)", "a code point that is none"},
      {"(?<=a+)b", "lookbehind"},
      {"a*", "the empty text"},
      {"", "the empty text"}};
  for (const auto& [regex, complaint] : kRefused) {
    ExpectUnsupported(ParseWithRegex(regex), "regular expression");
    ExpectUnsupported(ParseWithRegex(regex), complaint);
  }
}

TEST(Tokenizer, NamesWhatItDoesNotSupportInASequence) {
  const auto parse = [](const json& parts) {
    return ParseWith("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", parts}});
  };
  const json digits = {{"type", "Digits"}};
  const json byte_level = {{"type", "ByteLevel"}};
  EXPECT_TRUE(parse(json::array({digits, digits, byte_level})).ok());
  ExpectUnsupported(parse(json::array({digits})), "'Digits' as the last");
  ExpectUnsupported(parse(json::array({byte_level, byte_level})), "'ByteLevel' before the last");
  ExpectUnsupported(parse(json::array({{{"type", "Punctuation"}}, byte_level})),
                    "'Punctuation' before the last");
  ExpectUnsupported(parse(json::array()), "a sequence of 0");
  ExpectUnsupported(parse(json::array_t(18, digits)), "a sequence of 18");
  const json split = {{"type", "Split"}, {"pattern", {{"String", "x"}}}, {"behavior", "Shuffled"}};
  ExpectUnsupported(parse(json::array({split, byte_level})), "behavior 'Shuffled'");
}

// The JIT of PCRE2 10.42 finds "and" here, where it may look for the first place to start. The pieces are
// those of the package.
TEST(Tokenizer, TriesAlternativesInOrderWherePcre2Errs) {
  json document = Document();
  const json split = {{"type", "Split"},
                      {"pattern", {{"Regex", R"((?>\D*+|a|b)(?:-{0,2}\D{2}|\.)|[a-m]\P{L}|[-a])"}}},
                      {"behavior", "Isolated"}};
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  document["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}};
  const auto tokenizer = Tokenizer::Parse(document.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto whole = Load("neox.json");
  std::vector<int32_t> expected;
  for (const char* piece : {"\v", "a", "n", "d-"}) {
    const std::vector<int32_t> ids = *whole->Encode(piece);
    expected.insert(expected.end(), ids.begin(), ids.end());
  }
  EXPECT_EQ(*(*tokenizer)->Encode("\vand-"), expected);
  EXPECT_LT(whole->Encode("and")->size(), 3u) << "else the pieces would not show";
}

// A regular expression of a hostile file must not hold a server up, whatever the text.
TEST(Tokenizer, EndsAnExpressionThatWouldTakeForever) {
  json document = Document();
  const auto encode = [&](const std::string& regex, const std::string& text) {
    const json split = {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}};
    document["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {split, {{"type", "ByteLevel"}}}}};
    return (*Tokenizer::Parse(document.dump()))->Encode(text).status();
  };
  const std::string text(100'000, 'a');
  const absl::Status exponential = encode("(?:a|a)+[bc]", text);
  EXPECT_EQ(exponential.code(), absl::StatusCode::kResourceExhausted) << exponential;
  EXPECT_THAT(std::string(exponential.message()), testing::HasSubstr("regular expression"));
  EXPECT_EQ(encode("(?:[ab]|[ac]|aa)+[de]|(?:aa?){45}a{90}[xy]", text).code(),
            absl::StatusCode::kResourceExhausted);
}

// Files of the package's early versions, GPT-2's among them, do not say what their model is.
TEST(Tokenizer, TakesAModelWithMergesAndNoTypeForBpe) {
  json document = Document();
  document["model"].erase("type");
  const auto tokenizer = Tokenizer::Parse(document.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ(*(*tokenizer)->Encode("the cat"), *Load("neox.json")->Encode("the cat"));
  document["model"].erase("merges");
  ExpectBroken(Tokenizer::Parse(document.dump()).status(), "model: type is missing");
}

TEST(Tokenizer, RefusesAnUnknownTokenWhereBytesAreMissing) {
  json document = Document();
  document["model"]["unk_token"] = "<|endoftext|>";
  EXPECT_TRUE(Tokenizer::Parse(document.dump()).ok());
  document["model"]["vocab"].erase("!");
  ExpectUnsupported(Tokenizer::Parse(document.dump()).status(), "lacks byte 33");
}

TEST(Tokenizer, RefusesBrokenFiles) {
  ExpectBroken(Tokenizer::Parse("").status(), "tokenizer.json: not valid JSON");
  ExpectBroken(Tokenizer::Parse("[]").status(), "tokenizer.json");
  ExpectBroken(Tokenizer::Parse("{}").status(), "model is missing");
  ExpectBroken(Tokenizer::Parse(std::string(200'000, '[')).status(), "nested deeper");
  ExpectBroken(ParseWith("/model/vocab", json::array()), "vocab");
  for (const json& id : {json(-1), json(2147483647), json(1.5), json("3")}) {
    ExpectBroken(ParseWith("/model/vocab/a", id), "the id of 'a'");
  }
  ExpectBroken(ParseWith("/model/vocab/a", Document()["model"]["vocab"]["b"]), "belongs to both 'a' and 'b'");
  for (const json& merge : {json("ab"), json("a b c"), json(3), json({"a"}), json({"a", 3})}) {
    ExpectBroken(ParseWith("/model/merges/2", merge), "merge 2");
  }
  ExpectBroken(ParseWith("/model/merges/2", "a nowhere"), "merge 2 needs 'nowhere'");
  ExpectBroken(ParseWith("/model/merges/2", "# $"), "merge 2 needs '#$'");
  ExpectBroken(ParseWith("/added_tokens", 3), "added_tokens");
  ExpectBroken(ParseWith("/added_tokens/1/id", 5), "with id 5 contradicts");
  ExpectBroken(ParseWith("/added_tokens/0/id", 1'000'000), "'<|endoftext|>' with id 1000000 contradicts");
  ExpectBroken(ParseWith("/added_tokens/1/lstrip", "yes"), "added_tokens[1]: lstrip");
}

TEST(Tokenizer, TellsWhatTheTemplateBeginsWith) {
  EXPECT_EQ(Load("neox.json")->bos_id(), std::nullopt);  // its post-processor is ByteLevel
  const auto llama = Load("llama3.json");
  EXPECT_EQ(llama->bos_id(), llama->Find("<|begin|>"));
  json document = json::parse(DataText("llama3.json"));
  json& post_processor = document["post_processor"];
  std::swap(post_processor["processors"][0], post_processor["processors"][1]);
  EXPECT_EQ((*Tokenizer::Parse(document.dump()))->bos_id(), llama->bos_id());
  post_processor = json(post_processor["processors"][0]);
  EXPECT_EQ((*Tokenizer::Parse(document.dump()))->bos_id(), llama->bos_id());
  post_processor["special_tokens"]["<|begin|>"]["ids"] = {1, 2};
  ExpectBroken(Tokenizer::Parse(document.dump()).status(), "a list of one id");
  post_processor["special_tokens"] = json::object();
  ExpectBroken(Tokenizer::Parse(document.dump()).status(), "<|begin|> is missing");
  post_processor["single"].erase(0);
  EXPECT_EQ((*Tokenizer::Parse(document.dump()))->bos_id(), std::nullopt);
  post_processor = nullptr;
  EXPECT_EQ((*Tokenizer::Parse(document.dump()))->bos_id(), std::nullopt);
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  const auto tokenizer = Load("neox.json");
  for (const char* text :
       {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82"}) {
    EXPECT_EQ(tokenizer->Encode(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(Tokenizer, RefusesAWordThatIsTooLongToMerge) {
  const auto tokenizer = Load("neox.json");
  EXPECT_TRUE(tokenizer->Encode(std::string(4 << 20, 'a')).ok());
  const absl::Status status = tokenizer->Encode(std::string((4 << 20) + 1, 'a')).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("a word of 4194305 bytes"));
}

TEST(Tokenizer, ListsOrdinaryIdsWithoutAddedTokens) {
  const auto tokenizer = Load("neox.json");
  const json document = Document();
  std::set<int32_t> expected;
  for (const auto& [token, id] : document["model"]["vocab"].items()) expected.insert(id.get<int32_t>());
  int32_t highest = *expected.rbegin();
  for (const json& token : document["added_tokens"]) {
    expected.erase(token["id"].get<int32_t>());
    highest = std::max(highest, token["id"].get<int32_t>());
  }
  EXPECT_EQ(tokenizer->ordinary_ids(), std::vector<int32_t>(expected.begin(), expected.end()));
  EXPECT_EQ(tokenizer->size(), highest + 1);
}

TEST(Tokenizer, FindsTokensByTheirExactText) {
  const auto tokenizer = Load("neox.json");
  EXPECT_EQ(tokenizer->Find("<|endoftext|>"), 0);
  EXPECT_EQ(tokenizer->Find("a"), Document()["model"]["vocab"]["a"].get<int32_t>());
  EXPECT_EQ(tokenizer->Find("no such token"), std::nullopt);
}

TEST(Tokenizer, DecodesAddedTokensAsTheyAreWrittenAndSkipsUnknownIds) {
  const auto tokenizer = Load("added_tokens.json");
  const auto token = tokenizer->Find("ne\u0301e");
  ASSERT_TRUE(token);
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{*token, -1, 2'000'000'000, *token}), "ne\u0301ene\u0301e");
}

TEST(Tokenizer, AllowsGapsBetweenIds) {
  json document = Document();
  document["model"]["vocab"]["a"] = 2'147'483'646;
  const auto tokenizer = Tokenizer::Parse(document.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->size(), 2'147'483'647);
  EXPECT_THAT(*(*tokenizer)->Encode("a"), ElementsAre(2'147'483'646));
}

// Merges by scanning the whole word for the lowest rank each time.
std::vector<std::string> PlainBpe(const std::vector<std::string>& symbols, const json& merges) {
  std::vector<std::string> word = symbols;
  for (;;) {
    size_t best_rank = merges.size();
    size_t best = 0;
    for (size_t i = 0; i + 1 < word.size(); ++i) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        if (merges[rank] == word[i] + " " + word[i + 1]) best_rank = rank, best = i;
      }
    }
    if (best_rank == merges.size()) return word;
    word[best] += word[best + 1];
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(Tokenizer, MergesAsAPlainLoopDoes) {
  const auto tokenizer = Load("neox.json");
  const json model = Document()["model"];
  uint64_t state = 7;
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> letters;
    std::string word;
    for (int i = 0; i < 12; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      letters.push_back(std::string(1, "theandhsor"[state >> 33 & 7]));
      word += letters.back();
    }
    std::vector<int32_t> expected;
    for (const std::string& piece : PlainBpe(letters, model["merges"]))
      expected.push_back(model["vocab"][piece]);
    EXPECT_EQ(*tokenizer->Encode(word), expected) << word;
  }
}

TEST(Tokenizer, TakesNearLinearTimeOnLongInput) {
  const auto tokenizer = Load("added_tokens.json");
  std::string marks = "a";
  while (marks.size() < 800'000) marks += "\u0301\u0323";
  std::string letters;
  while (letters.size() < 500'000) letters += "thesand";
  // A quadratic step would take minutes; the limit is far above what a slow machine needs.
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& text : {letters, marks, std::string(500'000, ' '), std::string(500'000, '[')}) {
    const auto ids = tokenizer->Encode(text);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_FALSE(ids->empty());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(Tokenizer, EncodesFromManyThreadsAtOnce) {
  const auto tokenizer = Load("neox.json");
  const std::string text = "The cat sat on the mat, it's 2024  \n caf\u00e9 \U0001f600";
  const std::vector<int32_t> expected = *tokenizer->Encode(text);
  std::vector<std::vector<int32_t>> results(4);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) result = *tokenizer->Encode(text);
      });
    }
  }
  EXPECT_THAT(results, testing::Each(expected));
}

// Examples of Unicode Standard Annex 15, and orderings within a run of marks.
TEST(NormalizeNfc, ComposesAndOrders) {
  EXPECT_EQ(NormalizeNfc("\u212b"), "\u00c5");
  EXPECT_EQ(NormalizeNfc("\u0044\u0307\u0323"), "\u1e0c\u0307");
  EXPECT_EQ(NormalizeNfc("\u1e9b\u0323"), "\u1e9b\u0323");
  EXPECT_EQ(NormalizeNfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(NormalizeNfc("\uac00\u11a7"), "\uac00\u11a7");
  EXPECT_EQ(NormalizeNfc("e\u0301\u1100\u1161\u11a7\u11a7\u11a8\u1100"),
            "\u00e9\uac00\u11a7\u11a7\u11a8\u1100");
  EXPECT_EQ(NormalizeNfc("\u0958"), "\u0915\u093c");
  EXPECT_EQ(NormalizeNfc("\ufb01"), "\ufb01");
  EXPECT_EQ(NormalizeNfc(""), "");
}

// "Surely" must never be wrong; that it says so of most text is what makes it worth asking.
TEST(NormalizeNfc, IsSureOfWhatStaysAsItIsOnly) {
  for (const char* stays :
       {"", "plain", "caf\u00e9", "\u201cquoted\u201d \u2014", "\u4f60\u597d", "\U0001f600"}) {
    EXPECT_TRUE(IsSurelyNfc(stays)) << stays;
    EXPECT_EQ(NormalizeNfc(stays), stays);
  }
  for (const char* changes :
       {"e\u0301", "\u212b", "\u0bc6\u0bbe", "\u1100\u1161", "\uac00\u11a8", "\u0958"}) {
    EXPECT_FALSE(IsSurelyNfc(changes)) << changes;
    EXPECT_NE(NormalizeNfc(changes), changes);
  }
}

TEST(Unicode, KnowsWordCharactersAndWhiteSpace) {
  for (const char32_t c : {U'a', U'\u00e9', U'5', U'_', U'\u0301', U'\u200d', U'\u24b6', U'\u2167', U'\u4f60',
                           U'\U00010d4a', U'\U00010d40'}) {
    EXPECT_TRUE(IsWordCharacter(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U' ', U'-', U'.', U'\u00bd', U'\u00b2', U'\U0001f600', U'\U0001fae9'}) {
    EXPECT_FALSE(IsWordCharacter(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U' ', U'\t', U'\u0085', U'\u00a0', U'\u3000'}) EXPECT_TRUE(IsWhiteSpace(c));
  for (const char32_t c : {U'\u180e', U'\u200b', U'\ufeff', U'a'}) EXPECT_FALSE(IsWhiteSpace(c));
}

}  // namespace
}  // namespace induct::checkpoint
