#include "server/checkpoint/tensor_pickle.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/utf8.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/stored_tensor.h"

namespace induct::checkpoint {
namespace {

// The opcodes of pickle protocol 2 that torch.save writes for dictionaries of tensors (Python's pickletools
// has all of them, with these names).
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinUnicode = 'X',
  kBuild = 'b',
  kGlobal = 'c',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyTuple = ')',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
};

// Others, which a pickle of something else has, so that errors can name them.
constexpr struct {
  uint8_t opcode;
  const char* name;
} kRefusedOpcodes[] = {{'i', "INST"},       {'o', "OBJ"},
                       {'P', "PERSID"},     {']', "EMPTY_LIST"},
                       {'l', "LIST"},       {'d', "DICT"},
                       {'G', "BINFLOAT"},   {'U', "SHORT_BINSTRING"},
                       {'T', "BINSTRING"},  {0x81, "NEWOBJ"},
                       {0x82, "EXT1"},      {0x83, "EXT2"},
                       {0x84, "EXT4"},      {0x8c, "SHORT_BINUNICODE"},
                       {0x92, "NEWOBJ_EX"}, {0x93, "STACK_GLOBAL"},
                       {0x94, "MEMOIZE"},   {0x95, "FRAME"}};

std::string NameOf(uint8_t opcode) {
  const auto* found =
      std::ranges::find(kRefusedOpcodes, opcode, [](const auto& entry) { return entry.opcode; });
  return found == std::end(kRefusedOpcodes) ? absl::StrCat("0x", absl::Hex(opcode)) : found->name;
}

enum class Role { kOrderedDict, kRebuildTensor, kRebuildParameter, kStorage };

// What a pickle may name. None of it is called: the machine does the same to its own values.
constexpr struct {
  std::string_view module, name;
  Role role;
  StorageType storage;
} kGlobals[] = {
    {"collections", "OrderedDict", Role::kOrderedDict, {}},
    {"torch._utils", "_rebuild_tensor_v2", Role::kRebuildTensor, {}},
    {"torch._utils", "_rebuild_parameter", Role::kRebuildParameter, {}},
    {"torch", "FloatStorage", Role::kStorage, {"float32", 4, DType::kFloat32}},
    {"torch", "HalfStorage", Role::kStorage, {"float16", 2, DType::kFloat16}},
    {"torch", "BFloat16Storage", Role::kStorage, {"bfloat16", 2, DType::kBFloat16}},
    {"torch", "DoubleStorage", Role::kStorage, {"float64", 8, {}}},
    {"torch", "LongStorage", Role::kStorage, {"int64", 8, {}}},
    {"torch", "IntStorage", Role::kStorage, {"int32", 4, {}}},
    {"torch", "ShortStorage", Role::kStorage, {"int16", 2, {}}},
    {"torch", "CharStorage", Role::kStorage, {"int8", 1, {}}},
    {"torch", "ByteStorage", Role::kStorage, {"uint8", 1, {}}},
    {"torch", "BoolStorage", Role::kStorage, {"bool", 1, {}}},
};

// What the machine computes with; 16 bytes, whatever the kind.
struct Value {
  enum class Kind : uint8_t {
    kMark,
    kNone,
    kFlag,
    kInteger,
    kText,
    kGlobal,
    kTuple,
    kDict,
    kStorage,
    kTensor
  };
  Kind kind = Kind::kNone;
  uint32_t size = 0;   // bytes of a text, elements of a tuple; 1 for an ordered dictionary
  int64_t number = 0;  // an integer's; else where it is: in the pickle, kGlobals or the machine's lists
};
using Kind = Value::Kind;

struct Storage {
  const StorageType* type = nullptr;
  std::string_view key;
  uint64_t numbers = 0;
};

struct Tensor {
  Value storage, sizes, strides;
  uint64_t offset = 0;
};

struct Item {
  int64_t dict = 0;
  Value key, value;
};

class Machine {
 public:
  Machine(std::string_view text, const std::string& what) : text_(text), what_(what) {}

  absl::Status Run();
  // After Run.
  absl::StatusOr<std::vector<PickledTensor>> Tensors() const;

 private:
  absl::Status Bad(const std::string& complaint) const {
    return BadCheckpoint(absl::StrCat(what_, ": ", complaint));
  }
  absl::Status Unsupported(const std::string& complaint) const {
    return UnsupportedModel(absl::StrCat(what_, ": ", complaint));
  }

  // Reading the pickle.
  template <typename Number>
  absl::StatusOr<Number> Next();
  absl::StatusOr<std::string_view> NextBytes(size_t size);
  absl::StatusOr<std::string_view> NextLine();
  absl::Status Execute(uint8_t opcode);
  absl::Status ExecuteNumber(uint8_t opcode);
  absl::Status ReadLong();
  absl::Status ReadText();
  absl::Status ReadGlobal();

  // The stack and the memo.
  absl::Status Push(Kind kind, int64_t number = 0, size_t size = 0);
  absl::Status Push(const Value& value);
  absl::StatusOr<Value> Pop(Kind kind);
  absl::StatusOr<Value> PopAny();
  absl::Status Put(size_t slot);
  absl::Status Get(size_t slot);
  absl::StatusOr<size_t> AfterMark() const;
  absl::Status MakeTuple(size_t n_elements);
  absl::Status SetItems(size_t first);

  // What REDUCE, BINPERSID and BUILD stand for.
  absl::Status Reduce();
  absl::Status RebuildTensor(std::span<const Value> arguments);
  absl::Status RebuildParameter(std::span<const Value> arguments);
  absl::Status OpenStorage();
  absl::Status Build();

  std::string_view TextOf(const Value& value) const { return text_.substr(value.number, value.size); }
  std::span<const Value> ElementsOf(const Value& tuple) const {
    return std::span(elements_).subspan(tuple.number, tuple.size);
  }
  absl::StatusOr<PickledTensor> Describe(const Item& item) const;
  absl::Status ReadShape(const Tensor& tensor, PickledTensor& described) const;

  const std::string_view text_;
  const std::string& what_;
  size_t at_ = 0;
  size_t n_values_ = 0;  // ever pushed or put
  std::vector<Value> stack_;
  std::vector<Value> memo_;
  std::vector<Value> elements_;  // of all tuples
  std::vector<Item> items_;      // of all dictionaries
  std::vector<Storage> storages_;
  std::vector<Tensor> tensors_;
  int64_t n_dicts_ = 0;
};

template <typename Number>
absl::StatusOr<Number> Machine::Next() {
  INDUCT_ASSIGN_OR_RETURN(const std::string_view bytes, NextBytes(sizeof(Number)));
  Number number;
  std::memcpy(&number, bytes.data(), sizeof(number));
  return number;
}

absl::StatusOr<std::string_view> Machine::NextBytes(size_t size) {
  if (size > text_.size() - at_) return Bad("the pickle ends too early");
  at_ += size;
  return text_.substr(at_ - size, size);
}

absl::StatusOr<std::string_view> Machine::NextLine() {
  const size_t end = text_.find('\n', at_);
  if (end == std::string_view::npos) return Bad("the pickle ends too early");
  const std::string_view line = text_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

absl::Status Machine::Run() {
  constexpr uint8_t kProtocol = 2;
  INDUCT_ASSIGN_OR_RETURN(const uint8_t first, Next<uint8_t>());
  INDUCT_ASSIGN_OR_RETURN(const uint8_t protocol, Next<uint8_t>());
  if (first != kProto || protocol != kProtocol) return Unsupported("is no pickle of protocol 2");
  while (true) {
    INDUCT_ASSIGN_OR_RETURN(const uint8_t opcode, Next<uint8_t>());
    if (opcode == kStop) break;
    INDUCT_RETURN_IF_ERROR(Execute(opcode));
  }
  if (stack_.size() != 1 || at_ != text_.size()) return Bad("the pickle has more than one value");
  return absl::OkStatus();
}

absl::Status Machine::Execute(uint8_t opcode) {
  switch (opcode) {
    case kMark:
      return Push(Kind::kMark);
    case kNone:
      return Push(Kind::kNone);
    case kNewTrue:
    case kNewFalse:
      return Push(Kind::kFlag, opcode == kNewTrue);
    case kBinUnicode:
      return ReadText();
    case kGlobal:
      return ReadGlobal();
    case kEmptyDict:
      return Push(Kind::kDict, n_dicts_++);
    case kEmptyTuple:
      return MakeTuple(0);
    case kTuple1:
    case kTuple2:
    case kTuple3:
      return MakeTuple(opcode - kTuple1 + 1);
    case kTuple: {
      INDUCT_ASSIGN_OR_RETURN(const size_t first, AfterMark());
      INDUCT_RETURN_IF_ERROR(MakeTuple(stack_.size() - first));
      stack_.erase(stack_.end() - 2);  // the mark
      return absl::OkStatus();
    }
    case kSetItem:
      if (stack_.size() < 3) return Bad("the pickle's stack is too short");
      return SetItems(stack_.size() - 2);
    case kSetItems: {
      INDUCT_ASSIGN_OR_RETURN(const size_t first, AfterMark());
      stack_.erase(stack_.begin() + static_cast<ptrdiff_t>(first) - 1);
      return SetItems(first - 1);
    }
    case kBinPersId:
      return OpenStorage();
    case kReduce:
      return Reduce();
    case kBuild:
      return Build();
    default:
      return ExecuteNumber(opcode);
  }
}

// Opcodes that carry a number.
absl::Status Machine::ExecuteNumber(uint8_t opcode) {
  switch (opcode) {
    case kBinInt: {
      INDUCT_ASSIGN_OR_RETURN(const int32_t number, Next<int32_t>());
      return Push(Kind::kInteger, number);
    }
    case kBinInt1: {
      INDUCT_ASSIGN_OR_RETURN(const uint8_t number, Next<uint8_t>());
      return Push(Kind::kInteger, number);
    }
    case kBinInt2: {
      INDUCT_ASSIGN_OR_RETURN(const uint16_t number, Next<uint16_t>());
      return Push(Kind::kInteger, number);
    }
    case kLong1:
      return ReadLong();
    case kBinPut: {
      INDUCT_ASSIGN_OR_RETURN(const uint8_t slot, Next<uint8_t>());
      return Put(slot);
    }
    case kLongBinPut: {
      INDUCT_ASSIGN_OR_RETURN(const uint32_t slot, Next<uint32_t>());
      return Put(slot);
    }
    case kBinGet: {
      INDUCT_ASSIGN_OR_RETURN(const uint8_t slot, Next<uint8_t>());
      return Get(slot);
    }
    case kLongBinGet: {
      INDUCT_ASSIGN_OR_RETURN(const uint32_t slot, Next<uint32_t>());
      return Get(slot);
    }
    default:
      return Unsupported(
          absl::StrCat("the pickle uses ", NameOf(opcode), ", which no dictionary of tensors needs"));
  }
}

absl::Status Machine::ReadLong() {
  INDUCT_ASSIGN_OR_RETURN(const uint8_t size, Next<uint8_t>());
  INDUCT_ASSIGN_OR_RETURN(const std::string_view bytes, NextBytes(size));
  if (size > sizeof(int64_t)) return Bad("the pickle has an integer of more than 64 bits");
  const bool negative = size > 0 && (bytes.back() & 0x80) != 0;
  int64_t number = negative ? -1 : 0;
  std::memcpy(&number, bytes.data(), size);
  return Push(Kind::kInteger, number);
}

absl::Status Machine::ReadText() {
  INDUCT_ASSIGN_OR_RETURN(const uint32_t size, Next<uint32_t>());
  INDUCT_ASSIGN_OR_RETURN(const std::string_view bytes, NextBytes(size));
  if (!IsUtf8(bytes)) return Bad("the pickle has a text that is no UTF-8");
  return Push(Kind::kText, static_cast<int64_t>(at_ - size), size);
}

absl::Status Machine::ReadGlobal() {
  INDUCT_ASSIGN_OR_RETURN(const std::string_view module, NextLine());
  INDUCT_ASSIGN_OR_RETURN(const std::string_view name, NextLine());
  const auto* found = std::ranges::find_if(
      kGlobals, [&](const auto& global) { return global.module == module && global.name == name; });
  if (found != std::end(kGlobals)) return Push(Kind::kGlobal, found - kGlobals);
  if (!IsUtf8(module) || !IsUtf8(name)) return Bad("the pickle has a name that is no UTF-8");
  return Unsupported(absl::StrCat("the pickle needs ", Quoted(module), " ", Quoted(name),
                                  "; induct builds tensors only and runs nothing"));
}

absl::Status Machine::Push(Kind kind, int64_t number, size_t size) {
  return Push(Value{kind, static_cast<uint32_t>(size), number});
}

absl::Status Machine::Push(const Value& value) {
  if (++n_values_ > kMaxPickleValues) {
    return Unsupported(absl::StrCat("the pickle has more than ", kMaxPickleValues, " values"));
  }
  stack_.push_back(value);
  return absl::OkStatus();
}

absl::StatusOr<Value> Machine::PopAny() {
  if (stack_.empty() || stack_.back().kind == Kind::kMark) return Bad("the pickle's stack is too short");
  const Value value = stack_.back();
  stack_.pop_back();
  return value;
}

absl::StatusOr<Value> Machine::Pop(Kind kind) {
  INDUCT_ASSIGN_OR_RETURN(const Value value, PopAny());
  if (value.kind != kind)
    return Bad(absl::StrCat("the pickle has another value than it needs at byte ", at_));
  return value;
}

// The pickler numbers its slots as it goes: no number may leave a gap, which would cost memory.
absl::Status Machine::Put(size_t slot) {
  if (stack_.empty() || stack_.back().kind == Kind::kMark || slot != memo_.size())
    return Bad("the pickle's memo is out of order");
  if (++n_values_ > kMaxPickleValues) {
    return Unsupported(absl::StrCat("the pickle has more than ", kMaxPickleValues, " values"));
  }
  memo_.push_back(stack_.back());
  return absl::OkStatus();
}

absl::Status Machine::Get(size_t slot) {
  if (slot >= memo_.size()) return Bad("the pickle asks its memo for what is not there");
  return Push(memo_[slot]);
}

// Where on the stack the values above the topmost mark start.
absl::StatusOr<size_t> Machine::AfterMark() const {
  const auto mark = std::find_if(stack_.rbegin(), stack_.rend(),
                                 [](const Value& value) { return value.kind == Kind::kMark; });
  if (mark == stack_.rend()) return Bad("the pickle lacks a mark");
  return static_cast<size_t>(stack_.rend() - mark);
}

// Of the topmost values.
absl::Status Machine::MakeTuple(size_t n_elements) {
  if (stack_.size() < n_elements) return Bad("the pickle's stack is too short");
  const auto first = stack_.end() - static_cast<ptrdiff_t>(n_elements);
  const auto number = static_cast<int64_t>(elements_.size());
  elements_.insert(elements_.end(), first, stack_.end());
  stack_.erase(first, stack_.end());
  return Push(Kind::kTuple, number, n_elements);
}

// Puts keys and values, which alternate from place `first` on, into the dictionary below them.
absl::Status Machine::SetItems(size_t first) {
  if (first == 0 || stack_[first - 1].kind != Kind::kDict || (stack_.size() - first) % 2 != 0)
    return Bad("the pickle sets items of what is no dictionary");
  for (size_t i = first; i < stack_.size(); i += 2) {
    items_.push_back({stack_[first - 1].number, stack_[i], stack_[i + 1]});
  }
  stack_.resize(first);
  return absl::OkStatus();
}

// Calls, in Python, what is below the arguments.
absl::Status Machine::Reduce() {
  INDUCT_ASSIGN_OR_RETURN(const Value arguments, Pop(Kind::kTuple));
  INDUCT_ASSIGN_OR_RETURN(const Value callable, Pop(Kind::kGlobal));
  switch (kGlobals[callable.number].role) {
    case Role::kOrderedDict:
      if (arguments.size != 0) return Unsupported("the pickle makes an OrderedDict of arguments");
      return Push(Kind::kDict, n_dicts_++, 1);
    case Role::kRebuildTensor:
      return RebuildTensor(ElementsOf(arguments));
    case Role::kRebuildParameter:
      return RebuildParameter(ElementsOf(arguments));
    case Role::kStorage:
      break;
  }
  return Unsupported("the pickle calls a storage's type");
}

// Whether `arguments` are of these kinds.
bool AreOf(std::span<const Value> arguments, std::initializer_list<Kind> kinds) {
  return std::ranges::equal(arguments, kinds, {}, &Value::kind);
}

// (storage, offset, sizes, strides, requires_grad, hooks)
absl::Status Machine::RebuildTensor(std::span<const Value> arguments) {
  if (!AreOf(arguments,
             {Kind::kStorage, Kind::kInteger, Kind::kTuple, Kind::kTuple, Kind::kFlag, Kind::kDict}) ||
      arguments[1].number < 0) {
    return Bad("the pickle has a tensor of other than storage, offset, sizes and strides");
  }
  tensors_.push_back({.storage = arguments[0],
                      .sizes = arguments[2],
                      .strides = arguments[3],
                      .offset = static_cast<uint64_t>(arguments[1].number)});
  return Push(Kind::kTensor, static_cast<int64_t>(tensors_.size()) - 1);
}

// (tensor, requires_grad, hooks)
absl::Status Machine::RebuildParameter(std::span<const Value> arguments) {
  if (!AreOf(arguments, {Kind::kTensor, Kind::kFlag, Kind::kDict}))
    return Bad("the pickle has a parameter of other than a tensor");
  return Push(arguments[0]);
}

// ("storage", type, key, device, numbers)
absl::Status Machine::OpenStorage() {
  INDUCT_ASSIGN_OR_RETURN(const Value id, Pop(Kind::kTuple));
  const std::span<const Value> parts = ElementsOf(id);
  if (!AreOf(parts, {Kind::kText, Kind::kGlobal, Kind::kText, Kind::kText, Kind::kInteger}) ||
      TextOf(parts[0]) != "storage" || kGlobals[parts[1].number].role != Role::kStorage ||
      parts[4].number < 0) {
    return Bad("the pickle has a storage of other than type, key and size");
  }
  storages_.push_back(
      {&kGlobals[parts[1].number].storage, TextOf(parts[2]), static_cast<uint64_t>(parts[4].number)});
  return Push(Kind::kStorage, static_cast<int64_t>(storages_.size()) - 1);
}

// A module's state dictionary carries versions of its layers as an attribute, which loading may ignore.
absl::Status Machine::Build() {
  INDUCT_RETURN_IF_ERROR(Pop(Kind::kDict).status());
  if (stack_.empty() || stack_.back().kind != Kind::kDict || stack_.back().size != 1)
    return Unsupported("the pickle sets attributes of what is no OrderedDict");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PickledTensor>> Machine::Tensors() const {
  const Value& root = stack_.front();
  if (root.kind != Kind::kDict) return Unsupported("is no dictionary of tensors");
  std::vector<PickledTensor> tensors;
  for (const Item& item : items_) {
    if (item.dict != root.number) continue;
    if (tensors.size() == kMaxTensors)
      return Unsupported(absl::StrCat("more than ", kMaxTensors, " tensors"));
    INDUCT_ASSIGN_OR_RETURN(PickledTensor tensor, Describe(item));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

absl::StatusOr<PickledTensor> Machine::Describe(const Item& item) const {
  if (item.key.kind != Kind::kText) return Unsupported("the dictionary has a key that is no text");
  PickledTensor described = {.name = TextOf(item.key)};
  if (item.value.kind == Kind::kDict) {
    return Unsupported(absl::StrCat("entry ", Quoted(described.name),
                                    " is a dictionary; save that of the weights by itself"));
  }
  if (item.value.kind != Kind::kTensor)
    return Unsupported(absl::StrCat("entry ", Quoted(described.name), " is no tensor"));
  const Tensor& tensor = tensors_[item.value.number];
  const Storage& storage = storages_[tensor.storage.number];
  described.storage = storage.key;
  described.type = storage.type;
  described.storage_numbers = storage.numbers;
  described.offset = tensor.offset;
  INDUCT_RETURN_IF_ERROR(ReadShape(tensor, described));
  return described;
}

// Sizes, and strides that must be those of rows one after another. A dimension of 1 may have any stride.
absl::Status Machine::ReadShape(const Tensor& tensor, PickledTensor& described) const {
  const std::span<const Value> sizes = ElementsOf(tensor.sizes);
  const std::span<const Value> strides = ElementsOf(tensor.strides);
  const std::string name = Quoted(described.name);
  if (sizes.size() != strides.size() || sizes.size() > kMaxDimensions)
    return Bad(
        absl::StrCat("tensor ", name, " has more than ", kMaxDimensions, " dimensions, or unlike strides"));
  described.shape.resize(sizes.size());
  described.numbers = 1;
  bool contiguous = true;
  for (size_t i = sizes.size(); i-- > 0;) {
    const int64_t size = sizes[i].number;
    if (sizes[i].kind != Kind::kInteger || strides[i].kind != Kind::kInteger || size < 0)
      return Bad(absl::StrCat("tensor ", name, " has sizes or strides that are no whole numbers"));
    contiguous &= size == 1 || strides[i].number == static_cast<int64_t>(described.numbers);
    if (__builtin_mul_overflow(described.numbers, static_cast<uint64_t>(size), &described.numbers) ||
        described.numbers > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return Bad(absl::StrCat("tensor ", name, " has more than 2^63 numbers"));
    described.shape[i] = size;
  }
  if (!contiguous && described.numbers > 0)
    return Unsupported(absl::StrCat("tensor ", name, " is not contiguous"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<PickledTensor>> ParseTensorPickle(std::string_view text, const std::string& what) {
  Machine machine(text, what);
  INDUCT_RETURN_IF_ERROR(machine.Run());
  return machine.Tensors();
}

}  // namespace induct::checkpoint
